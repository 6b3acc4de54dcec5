package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"oauth2-server/admin/doctor"
	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// doctor is what the command finds on the cluster, and its exit status. The replicas' variables are its own.
func (c *cluster) doctor(args ...string) (int, doctor.Report) {
	c.t.Helper()
	status, out, errOut := (&console{t: c.t, env: c.env}).run("", append([]string{"doctor", "--json"}, args...)...)
	if status == 2 || errOut != "" {
		c.t.Fatalf("doctor %v: got status %d: %s", args, status, errOut)
	}
	return status, decodeJSON[doctor.Report](c.t, out)
}

// find is the finding of an id, nil where there is none.
func find(r doctor.Report, id string) *doctor.Finding {
	i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.ID == id })
	if i < 0 {
		return nil
	}
	return &r.Findings[i]
}

// finds waits until the doctor has a finding of the severity, whose evidence has the words: replicas tell of themselves every five seconds.
func (c *cluster) finds(scenario, id string, severity doctor.Severity, words ...string) {
	c.t.Helper()
	var status int
	var report doctor.Report
	c.replicas[0].await(fmt.Sprintf("make the doctor find %s as %s", id, severity), func() bool {
		status, report = c.doctor(scenario, "--url", c.replicas[0].url)
		found := find(report, id)
		return found != nil && found.Severity == severity // it may grow worse while a replica is still counting
	})
	found := find(report, id)
	for _, word := range words {
		if !strings.Contains(found.Evidence, word) {
			c.t.Errorf("%s: got %q, want %q in it", id, found.Evidence, word)
		}
	}
	if want := report.Bad(); (status == 1) != want {
		c.t.Errorf("got status %d for %+v", status, report)
	}
}

// add starts one more replica, with other variables.
func (c *cluster) add(env ...string) *replica {
	c.t.Helper()
	r := startReplica(c.t, slices.Concat(c.env, env))
	r.awaitReady()
	c.replicas = append(c.replicas, r)
	return r
}

// ofDoctor is a Postgres as it is by default: that of the other tests is not durable, which the doctor finds.
func ofDoctor(t *testing.T, n int, env ...string) *cluster {
	t.Helper()
	pg, database := private.TestOwnPostgres(t)
	return startCluster(t, n, database, pg, append(env, enough)...)
}

// enough is room for a database: the machine's disk is nothing to judge.
const enough = "OAUTH2_DATABASE_CAPACITY=100GiB"

// speed is what the doctor measures of the machine it runs on, which other tests use as well.
var speed = []string{"latency.", "health.fence", "database.slow_queries", "database.pool_wait", "database.far", "redis.latency", "redis.slow_command"}

// toMend are the findings above info, but those of speed.
func toMend(r doctor.Report) []doctor.Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f doctor.Finding) bool {
		return f.Severity == doctor.Info || slices.ContainsFunc(speed, func(id string) bool { return strings.HasPrefix(f.ID, id) })
	})
}

// A cluster in use that nothing is wrong with has nothing to mend, seen from the command line and from the operators' listener.
func TestDoctorOfAHealthyCluster(t *testing.T) {
	c := ofDoctor(t, 3)
	as := c.newClient("billing")
	for _, r := range c.replicas {
		for range 50 {
			r.isActive(as, r.mustIssue(as))
		}
	}
	url := c.replicas[0].url
	c.replicas[0].await("tell that it is ready, as all others", func() bool {
		_, report := c.doctor("health", "--url", url)
		return find(report, "health.not_ready") == nil && find(report, "health.no_replica") == nil
	})
	if _, report := c.doctor("--url", url); len(toMend(report)) > 0 {
		t.Errorf("got %+v, want nothing to mend", toMend(report))
	}
	_, out, _ := (&console{t: t, env: c.env}).run("", "doctor", "--url", url)
	if want := "replicas that run: 3"; !strings.Contains(out, "Looked at: postgres 1") || !strings.Contains(out, want) || !strings.Contains(out, url) {
		t.Errorf("got %s, want %q in it", out, want)
	}

	session, a := c.replicas[1].signIn(testSeedPassword)
	if a.status != http.StatusOK {
		t.Fatalf("sign in: got %s", a)
	}
	a = c.replicas[1].ask("GET", "/admin/api/doctor?scenario=login", session)
	if report := decodeJSON[doctor.Report](t, a.body); a.status != http.StatusOK || report.Findings == nil || len(toMend(report)) > 0 {
		t.Errorf("got %s, want nothing to mend", a)
	}
}

// What replicas must share and do not is found, whoever is asked.
func TestDoctorFindsReplicasThatDiffer(t *testing.T) {
	c := newCluster(t, 1)
	c.add("OAUTH2_SESSION_KEY=" + strings.Repeat("another-key-of-sessions", 2))
	c.finds("login", "login.session_keys", doctor.Critical, "does not open")

	other := c.add("OAUTH2_SERVER_PUBLIC_BASE_URL=https://elsewhere.example.com")
	c.finds("keys", "keys.issuers", doctor.Critical, "https://elsewhere.example.com on 1", "https://auth.example.com on 2")
	c.finds("deploy", "deploy.config_differs", doctor.Warning, "2 configurations on 3 replicas", "they differ in OAUTH2_SERVER_PUBLIC_BASE_URL")
	if _, report := c.doctor("keys", "--url", other.url); find(report, "keys.issuer") == nil {
		t.Errorf("got %+v, want that the URL has another issuer", report)
	}

	c.replicas[0].await("see why another one ends by itself", func() bool {
		refused := startReplica(t, append(slices.Clone(c.env), "OAUTH2_JWT_SECRET="+strings.Repeat("another-secret", 3)))
		if err := refused.end(); err == nil {
			t.Fatal("it started")
		}
		_, report := c.doctor("health", "--url", c.replicas[0].url) // none, if it ended before it could register
		return slices.ContainsFunc(report.Findings, func(f doctor.Finding) bool {
			return f.ID == "health.not_ready" && f.Severity == doctor.Critical && strings.Contains(f.Evidence, "ends by itself: open the key ring")
		})
	})

	c.add("OAUTH2_JWT_SECRET=" + strings.Repeat("another-secret-", 4) + "," + testSecret)
	c.finds("keys", "keys.secrets", doctor.Critical, "does not open")
}

// The first secret seals: until it does for every key, the old one may not be taken away. One that opens nothing is not theirs.
func TestDoctorFindsSeals(t *testing.T) {
	c := newCluster(t, 1)
	anew := strings.Repeat("another-secret-", 4)
	ask := func(secret string) doctor.Report {
		env := append(slices.Clone(c.env), "OAUTH2_JWT_SECRET="+secret)
		_, out, _ := (&console{t: t, env: env}).run("", "doctor", "keys", "--json", "--url", c.replicas[0].url)
		return decodeJSON[doctor.Report](t, out)
	}
	if r := ask(anew + "," + testSecret); find(r, "keys.unsealed") == nil || find(r, "keys.sealed") != nil {
		t.Errorf("got %+v, want that the keys are not sealed anew", r)
	}
	if r := ask(anew); find(r, "keys.sealed") == nil {
		t.Errorf("got %+v, want that nothing opens the keys", r)
	}
	if r := ask(testSecret); find(r, "keys.sealed") != nil || find(r, "keys.unsealed") != nil {
		t.Errorf("got %+v, want nothing of the seals", r)
	}
}

// One that hangs is silent; one that was killed ended without a word; one that was told to end did so in good order.
func TestDoctorFindsReplicasThatHangAndDie(t *testing.T) {
	t.Parallel() // it waits most of its time
	c := newCluster(t, 4)
	c.replicas[0].await("be known with all others", func() bool {
		all, err := c.db.Replicas(t.Context())
		ready := slices.DeleteFunc(all, func(r store.Replica) bool { return !r.Vitals.Ready })
		return err == nil && len(ready) == 4
	})
	hung, killed, ended := c.replicas[1], c.replicas[2], c.replicas[3]
	if err := hung.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	killed.kill()
	if err := ended.terminate(); err != nil {
		t.Fatal(err)
	}
	address := func(r *replica) string { return strings.TrimPrefix(r.url, "http://") }
	c.finds("health", "health.replica_silent", doctor.Warning, "registers every 5s")
	c.replicas[0].await("be silent", func() bool {
		_, report := c.doctor("health", "--url", c.replicas[0].url)
		return slices.ContainsFunc(report.Findings, func(f doctor.Finding) bool {
			return f.ID == "health.replica_silent" && strings.Contains(f.Evidence, address(hung))
		})
	})
	var report doctor.Report
	c.replicas[0].await("see the end of the killed one", func() bool {
		_, report = c.doctor("deploy", "--url", c.replicas[0].url)
		return slices.ContainsFunc(report.Findings, func(f doctor.Finding) bool {
			return f.ID == "deploy.unclean_end" && strings.Contains(f.Evidence, address(killed))
		})
	})
	for _, f := range report.Findings {
		if strings.Contains(f.Evidence, address(ended)+")") {
			t.Errorf("got %+v of one that ended in good order", f)
		}
	}
}

func TestDoctorFindsRedisAndPostgresDown(t *testing.T) {
	c := newOwnCluster(t, 1)
	c.redis.Close()
	c.finds("health", "redis.unreachable", doctor.Warning, "tcp")
	c.finds("health", "health.redis_down", doctor.Warning, "1 of 1")
	c.finds("limits", "limits.fallback", doctor.Warning, "1 of 1")

	c.postgres.Close()
	status, report := c.doctor("limits", "--url", c.replicas[0].url)
	if status != 1 || find(report, "database.unreachable") == nil || find(report, "health.unseen") == nil {
		t.Errorf("got status %d and %+v, want that the database is away and what was not seen", status, report)
	}
}

func TestDoctorFindsRefusalsAndWhomTheyHit(t *testing.T) {
	c := newCluster(t, 1)
	as := c.newClient("billing")
	(&console{t: t, env: c.env}).must("limits", "set", "doctor-test", "--endpoint", "introspect", "--key", "client", "--rate", "1/1h", "--mode", "enforce")
	c.replicas[0].await("refuse", func() bool { return c.replicas[0].introspect(as, "x").status == http.StatusTooManyRequests })
	for range 150 {
		c.replicas[0].introspect(as, "x")
	}
	c.finds("limits", "limits.refusals", doctor.Warning, "doctor-test refused", "billing")
}

func TestDoctorFindsProxiesThatAreNotTrusted(t *testing.T) {
	t.Parallel() // it waits most of its time
	c := newCluster(t, 1)
	for range 60 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.replicas[0].url+"/.well-known/jwks.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Forwarded-For", "198.51.100.7")
		request.Host = "login.example.net"
		if a := send(request, nil); a.status != http.StatusOK {
			t.Fatalf("got %s", a)
		}
	}
	c.finds("login", "login.proxy", doctor.Warning, "does not believe")
	c.finds("login", "login.other_host", doctor.Warning, `"login.example.net"`)
}

func TestDoctorFindsThatNoOperatorIsLeft(t *testing.T) {
	c := newCluster(t, 1)
	user, err := c.db.UserByName(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.db.ChangeUser(t.Context(), operator(), "user.update", user.ID, func(old *store.User) (*store.User, error) {
		next := *old
		next.Disabled = true
		return &next, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.finds("login", "login.no_admin", doctor.Critical, "0 enabled")
}

// The exit status is for scripts: 0 nothing to mend, 1 something, 2 it could not be told.
func TestDoctorExitStatus(t *testing.T) {
	clean := newConsole(t, enough)
	f := func(c *console, want int, words string, args ...string) {
		t.Helper()
		status, out, errOut := c.run("", append([]string{"doctor"}, args...)...)
		if status != want || !strings.Contains(out+errOut, words) {
			t.Errorf("%v: got %d: %s%s, want %d and %q", args, status, out, errOut, want, words)
		}
	}
	with := func(env ...string) *console { return &console{t: t, env: append(slices.Clone(clean.env), env...)} }
	f(clean, 0, "Nothing is wrong; the above is worth knowing.")
	f(clean, 0, "Nothing is wrong.", "login")
	f(clean, 0, `"findings": []`, "login", "--json")
	f(clean, 0, "Nothing is wrong.", "keys", "login") // as the runbook has it
	f(clean, 2, "give one or more of health, ", "nonsense")
	f(clean, 2, "or all alone", "login", "nonsense")
	f(clean, 2, "or all alone", "all", "keys")
	f(clean, 2, "--url must be", "--url", "ftp://a")
	f(clean, 1, "health.public_unreachable", "health", "--url", "http://127.0.0.1:1")
	f(with("OAUTH2_SERVER_PORT=99999"), 2, "OAUTH2_SERVER_PORT")
	f(with("OAUTH2_DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "none.db")), 2, "the doctor could not look")
	f(with("OAUTH2_DATABASE_URL=postgres://a:hunter2@127.0.0.1:1/x"), 1, "database.unreachable", "tokens")
	if strings.Contains(clean.printed.String(), "hunter2") {
		t.Error("the password was printed")
	}
}

// With --json standard output holds JSON or, with status 2, nothing.
func TestDoctorThatCannotLookPrintsNoText(t *testing.T) {
	for _, env := range [][]string{nil, {"OAUTH2_DATABASE_URL=mysql://x"}} {
		t.Chdir(t.TempDir())
		c := &console{t: t, env: env}
		if status, out, errOut := c.run("", "doctor", "--json"); status != 2 || out != "" || errOut == "" {
			t.Errorf("%q: got status %d, %q and %q, want 2 and the reason on standard error alone", env, status, out, errOut)
		}
	}
}

func TestDoctorEndsWhenInterrupted(t *testing.T) {
	c := newConsole(t)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	root := newRootCommand(c.env)
	var out bytes.Buffer
	root.SetArgs([]string{"doctor"})
	root.SetOut(&out)
	root.SetErr(&out)
	if status := execute(ctx, root); status != 2 || strings.Contains(out.String(), "Nothing is wrong") {
		t.Errorf("got status %d and %s, want 2 and no verdict", status, out.String())
	}
}

// People see the severity first; colours are for terminals whose owner wants them.
func TestDoctorForPeople(t *testing.T) {
	d := diagnosis{facts: &doctor.Facts{}, report: &doctor.Report{Findings: []doctor.Finding{
		{ID: "a.b", Scenario: "keys", Severity: doctor.Critical, Evidence: "1 of 2", Cause: "why", Fix: "do", Runbook: "page#here"},
		{ID: "a.c", Scenario: "keys", Severity: doctor.Info, Evidence: "3", Cause: "why", Fix: "do", Runbook: "page#here"},
	}}}
	text := d.String()
	for _, want := range []string{"KEYS\n  critical  a.b: 1 of 2\n            cause  why\n            fix    do\n            see    page#here\n", "  info      a.c: 3\n", "Found: 1 critical, 0 warning, 1 info."} {
		if !strings.Contains(text, want) {
			t.Errorf("got %q, want %q in it", text, want)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Errorf("got colours in %q", text)
	}
	d.color = true
	if text := d.String(); !strings.Contains(text, "\x1b[1;31mcritical\x1b[0m") {
		t.Errorf("got %q, want a red word", text)
	}
	if mayColor([]string{"NO_COLOR=1"}) || !mayColor([]string{"NO_COLOR="}) || !mayColor(nil) {
		t.Error("NO_COLOR is not heeded")
	}
}

// A terminal obeys what strangers write into names and hosts.
func TestDoctorWritesNoControls(t *testing.T) {
	odd := "a\x1b[2J\u009b1m\u202eb\nc"
	d := diagnosis{facts: &doctor.Facts{}, report: &doctor.Report{Findings: []doctor.Finding{{ID: "a.b", Scenario: "keys", Severity: doctor.Info, Evidence: odd, Cause: odd, Fix: odd}}}}
	if text := d.String(); strings.Count(text, "a\ufffd[2J\ufffd1m\ufffdb c\n") != 3 {
		t.Errorf("got %q", text)
	}
}

// The JSON has exactly the documented members.
func TestDoctorJSON(t *testing.T) {
	c := newConsole(t)
	_, out, _ := c.run("", "doctor", "health", "--json", "--url", "http://127.0.0.1:1")
	var report struct {
		Findings []struct {
			ID, Scenario, Severity, Evidence, Cause, Fix, Runbook string
		}
	}
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for _, f := range report.Findings {
		page, anchor, _ := strings.Cut(f.Runbook, "#")
		if f.ID == "" || f.Scenario != "health" || f.Evidence == "" || f.Cause == "" || f.Fix == "" || page != "deploy/runbook.md" || anchor == "" {
			t.Errorf("got %+v, want every member", f)
		}
	}
	if len(report.Findings) != 2 {
		t.Errorf("got %+v, want the public URL and that there is no replica", report)
	}
}
