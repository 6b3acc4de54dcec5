package main

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"oauth2-server/store"
)

var adminListening = regexp.MustCompile(`"msg":"listening",.*"admin":"([^"]+)"`)

// admin is the URL of the replica's listener for operators.
func (r *replica) admin() string {
	r.t.Helper()
	found := adminListening.FindStringSubmatch(r.log.String())
	if found == nil {
		r.t.Fatalf("the log does not tell the listener for operators:\n%s", r.log)
	}
	return "http://" + found[1]
}

// ask sends a request to the listener for operators with a cookie, and follows no redirect.
func (r *replica) ask(method, path, cookie string) answer {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.admin()+path, nil)
	if err == nil && cookie != "" {
		request.Header.Set("Cookie", cookie)
	}
	return send(request, err)
}

// signIn is the cookie of a session of the first operator.
func (r *replica) signIn(password string) (string, answer) {
	r.t.Helper()
	body := url.Values{"username": {"admin"}, "password": {password}}.Encode()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.admin()+"/auth/login", strings.NewReader(body))
	if err == nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Accept", "application/json")
	}
	a := send(request, err)
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	return cookie, a
}

// TestASessionIsGoodOnEveryReplica: it is sealed, not kept: it survives its replica, and ends everywhere at once.
func TestASessionIsGoodOnEveryReplica(t *testing.T) {
	c := newCluster(t, 3)
	session, a := c.replicas[0].signIn(testSeedPassword)
	if a.status != http.StatusOK {
		t.Fatalf("sign in: got %s", a)
	}
	c.replicas[0].kill()
	c.replicas[0] = startReplica(t, c.env)
	c.replicas[0].awaitReady()
	for i, r := range c.replicas {
		if a := r.ask("GET", "/admin/api/stats", session); a.status != http.StatusOK {
			t.Errorf("replica %d: got %s, want 200", i, a)
		}
		if a := send(http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/admin/api/stats", nil)); a.status != http.StatusNotFound {
			t.Errorf("replica %d: the public listener answers %s", i, a)
		}
	}
	if a := c.replicas[1].ask("POST", "/auth/logout", session); a.err != nil {
		t.Fatal(a.err)
	}
	second, _ := c.replicas[2].signIn(testSeedPassword)
	user, err := c.db.UserByName(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range c.replicas {
		if a := r.ask("GET", "/admin/api/stats", session); a.status != http.StatusUnauthorized {
			t.Errorf("replica %d, signed out: got %s, want 401", i, a)
		}
		if a := r.ask("GET", "/admin/api/stats", second); a.status != http.StatusOK {
			t.Errorf("replica %d, second session: got %s, want 200", i, a)
		}
	}
	_, err = c.db.ChangeUser(t.Context(), operator(), "user.update", user.ID, func(old *store.User) (*store.User, error) {
		next := *old
		next.Disabled = true
		return &next, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range c.replicas {
		if a := r.ask("GET", "/admin/api/stats", second); a.status != http.StatusUnauthorized {
			t.Errorf("replica %d, disabled: got %s, want 401", i, a)
		}
	}
}

// TestANewSeedPasswordIsTheWayIn is the runbook's "restart with new admin credentials".
func TestANewSeedPasswordIsTheWayIn(t *testing.T) {
	const anew = "tangerine-Quorum-91-otter"
	c := newCluster(t, 1)
	session, a := c.replicas[0].signIn(testSeedPassword)
	if a.status != http.StatusOK {
		t.Fatalf("sign in: got %s", a)
	}
	restarted := startReplica(t, append(c.env, "OAUTH2_SEED_PASSWORD="+anew))
	restarted.awaitReady()
	if a := restarted.ask("GET", "/admin/api/stats", session); a.status != http.StatusUnauthorized {
		t.Errorf("the old session: got %s, want 401", a)
	}
	if _, a := restarted.signIn(testSeedPassword); a.status != http.StatusUnauthorized {
		t.Errorf("the old password: got %s, want 401", a)
	}
	if _, a := restarted.signIn(anew); a.status != http.StatusOK {
		t.Errorf("the new password: got %s, want 200", a)
	}
	for _, secret := range []string{anew, testSeedPassword, session} {
		if strings.Contains(restarted.log.String()+c.replicas[0].log.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
}

func TestATakenPortNamesItsVariable(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	_, err = listen(&Config{Host: "127.0.0.1", AdminHost: "127.0.0.1", AdminPort: port})
	if err == nil || !strings.Contains(err.Error(), "set OAUTH2_ADMIN_PORT") {
		t.Errorf("got %v, want what to do", err)
	}
	_, err = listen(&Config{Host: "127.0.0.1", Port: port, AdminHost: "127.0.0.1"})
	if err == nil || !strings.Contains(err.Error(), "set OAUTH2_SERVER_PORT") {
		t.Errorf("got %v, want what to do", err)
	}
}

// A name in OAUTH2_ADMIN_CLIENT_IDS that no client has is told at start, and the start goes on.
func TestUnknownAdminClientsAreNamed(t *testing.T) {
	c := newConsole(t)
	c.must("client", "create", "--id", "robot")
	f := func(want string, names ...string) {
		t.Helper()
		var log bytes.Buffer
		err := nameAbsent(t.Context(), names, c.open(), slog.New(slog.NewJSONHandler(&log, nil)))
		if err != nil || !strings.Contains(log.String(), want) || want == "" && log.Len() > 0 {
			t.Errorf("%q: got %q, %v, want %q", names, log.String(), err, want)
		}
	}
	f("")
	f("", "robot")
	f(`"clients":["robbot","R2"]`, "robbot", "robot", "R2")
}
