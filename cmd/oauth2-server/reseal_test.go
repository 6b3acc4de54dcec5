package main

import (
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

const provenIssuer = "https://auth.example.com"

// prove asks for a token as a client that proves itself by client_secret_jwt, and returns the status.
func (r *replica) prove(id, secret string) int {
	r.t.Helper()
	assertion, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": id, "sub": id, "aud": provenIssuer, "exp": time.Now().Unix() + 60, "jti": store.NewID(time.Now()).String(),
	}).SignedString([]byte(secret))
	if err != nil {
		r.t.Fatal(err)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {oauth.AssertionType}, "client_assertion": {assertion}}
	request, err := http.NewRequest(http.MethodPost, r.url+"/oauth/token", strings.NewReader(form.Encode()))
	if err == nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return send(request, err).status
}

// A round trip of OAUTH2_JWT_SECRET: "old", "new,old", "new". The secrets of clients that sign with them are sealed anew at start, like the
// keys; one that was not, because a shell still had the old secret alone, is told of by name and shuts out nobody else.
func TestSecretsOfClientsOutliveTheServers(t *testing.T) {
	const old, young = "OAUTH2_JWT_SECRET=" + testSecret, "OAUTH2_JWT_SECRET=" + testSecret + "-anew"
	c := newConsole(t, "OAUTH2_SERVER_PORT=0", "OAUTH2_SERVER_PUBLIC_BASE_URL="+provenIssuer)
	secrets := map[string]string{}
	create := func(id string) {
		secrets[id] = c.create("--id", id, "--auth-method", "client_secret_jwt", "--grant", "client_credentials", "--scope", "read").Secret
	}
	prove := func(r *replica, id string) int { t.Helper(); return r.prove(id, secrets[id]) }
	serve := func(secret string) *replica {
		t.Helper()
		r := startReplica(t, append(c.env[:len(c.env):len(c.env)], secret))
		r.awaitReady()
		return r
	}
	create("app")
	for _, secret := range []string{old, young + "," + testSecret, young} {
		r := serve(secret)
		if status := prove(r, "app"); status != http.StatusOK {
			t.Errorf("got %d, want the client to prove itself", status)
		}
		if strings.Contains(r.log.String(), "client_secret_jwt") {
			t.Errorf("the server complains: %s", r.log)
		}
		if err := r.terminate(); err != nil {
			t.Fatal(err)
		}
	}
	create("late") // by a shell that has the old secret still
	r := serve(young)
	if status := prove(r, "late"); status != http.StatusServiceUnavailable {
		t.Errorf("late: got %d, want 503: it may be the fault of the server's secrets", status)
	}
	if status := prove(r, "app"); status != http.StatusOK {
		t.Errorf("got %d, want the client to prove itself", status)
	}
	want(t, r.log.String(), "client_secret_jwt", `"clients":["late"]`)
	c.env = append(c.env, young)
	status, out, errOut := c.run("", "keys", "list")
	want(t, errOut, "client_secret_jwt", "OAUTH2_JWT_SECRET", ": late\n")
	if status != 0 || strings.Contains(out, "late") {
		t.Errorf("got status %d, %s", status, out)
	}
	c.must("client", "rotate-secret", "late")
	if _, _, errOut := c.run("", "keys", "list"); errOut != "" {
		t.Errorf("after a new secret: got %s", errOut)
	}
}

// A secret that was dropped opens nothing, with a copy of the database, as soon as no server has it.
func TestAnOldSecretIsForgotten(t *testing.T) {
	c := newConsole(t, "OAUTH2_SERVER_PORT=0", "OAUTH2_SERVER_PUBLIC_BASE_URL="+provenIssuer, "OAUTH2_JWT_SECRET="+testSecret)
	app := c.create("--id", "app", "--auth-method", "client_secret_jwt", "--grant", "client_credentials", "--scope", "read").Secret
	dir := t.TempDir()
	r := startReplica(t, byFile(t, dir, c.env, "OAUTH2_JWT_SECRET"))
	r.awaitReady()
	db, old := c.open(), c.config().secrets
	opened := func() (n int) { // by the old secret
		stored, err := db.Keys(t.Context())
		client, errClient := db.Client(t.Context(), "app")
		if err := errors.Join(err, errClient); err != nil {
			t.Fatal(err)
		}
		for _, key := range stored {
			if key.Seals[old.Fingerprints()[0]] != nil {
				n++
			}
		}
		if _, err := old.OpenText("app", client.SealedSecret); err == nil {
			n++
		}
		return n
	}
	before := opened()
	for times, text := range []string{newTestSecret + "," + testSecret, newTestSecret} {
		rewrite(t, filepath.Join(dir, "OAUTH2_JWT_SECRET"), text)
		r.awaitMetric(reloaded + strconv.Itoa(times+1))
		if n := opened(); n < before {
			t.Errorf("%d of %d opened by the old secret while the server says that it has it", n, before)
		}
	}
	c.env = append(c.env, "OAUTH2_JWT_SECRET="+newTestSecret)
	young := c.config().secrets.Fingerprints()
	r.await("say that it has the new secret alone", func() bool {
		all, err := db.Replicas(t.Context())
		return err == nil && len(all) == 1 && slices.Equal(all[0].Vitals.Secrets, young)
	})
	c.must("keys", "rotate", "--emergency", "--yes") // a change, at which servers look at the ring: else they do each minute
	r.await("forget the old secret", func() bool { return opened() == 0 })
	if status := r.prove("app", app); status != http.StatusOK {
		t.Errorf("got %d, want the client to prove itself", status)
	}
}

func TestSecretsAreKeptForThoseWhoMayNeedThem(t *testing.T) {
	has := func(secrets ...string) store.Replica { return store.Replica{Vitals: store.Vitals{Secrets: secrets}} }
	f := func(want bool, all ...store.Replica) {
		t.Helper()
		if got := haveNoOther(all, []string{"new"}); got != want {
			t.Errorf("%+v: got %v, want %v", all, got, want)
		}
	}
	f(true, has("new"), has("new"))
	f(false, has("new"), has("old"))
	f(false, has("new"), has("new", "old"))
	f(false, has("new"), has()) // a version that does not say it
	f(false)
	f(false, slices.Repeat([]store.Replica{has("new")}, store.MaxReplicas)...)
}

// The same round trip by the file of a running server, which seals them anew at each step.
func TestSecretsOfClientsOutliveTheServersByTheFile(t *testing.T) {
	c := newConsole(t, "OAUTH2_SERVER_PORT=0", "OAUTH2_SERVER_PUBLIC_BASE_URL="+provenIssuer, "OAUTH2_JWT_SECRET="+testSecret)
	secret := c.create("--id", "app", "--auth-method", "client_secret_jwt", "--grant", "client_credentials", "--scope", "read").Secret
	dir := t.TempDir()
	r := startReplica(t, byFile(t, dir, c.env, "OAUTH2_JWT_SECRET"))
	r.awaitReady()
	for times, text := range []string{testSecret, newTestSecret + "," + testSecret, newTestSecret} {
		if times > 0 {
			rewrite(t, filepath.Join(dir, "OAUTH2_JWT_SECRET"), text)
			r.awaitMetric(reloaded + strconv.Itoa(times))
			r.awaitMetric(reloadOK)
		}
		if status := r.prove("app", secret); status != http.StatusOK {
			t.Errorf("step %d: got %d, want the client to prove itself:\n%s", times, status, r.log)
		}
	}
}
