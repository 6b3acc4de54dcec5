package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"oauth2-server/store"
)

// listed is what the command line says of the replicas.
func (c *cluster) listed(args ...string) []store.Replica {
	c.t.Helper()
	var out, errOut bytes.Buffer
	root := newRootCommand(c.env)
	root.SetArgs(append([]string{"replicas", "--json"}, args...))
	root.SetOut(&out)
	root.SetErr(&errOut)
	if status := execute(context.Background(), root); status != 0 {
		c.t.Fatalf("replicas %s: %d %s", args, status, &errOut)
	}
	var all []store.Replica
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		c.t.Fatal(err)
	}
	return all
}

// of is what the replica says of itself in a list.
func (r *replica) of(all []store.Replica) store.Replica {
	r.t.Helper()
	i := slices.IndexFunc(all, func(one store.Replica) bool { return "http://"+one.Public == r.url })
	if i < 0 {
		r.t.Fatalf("%s is not among %+v", r.url, all)
	}
	return all[i]
}

// Every replica says how it is, on the command line and on the listener for operators; one that was killed stays listed
// without having said good-bye, one that was told to end with it.
func TestReplicasTellTheirVitals(t *testing.T) {
	c := newCluster(t, 3)
	as := c.newClient("app")
	for _, r := range c.replicas {
		r.mustIssue(as)
	}
	request, err := http.NewRequest(http.MethodGet, c.replicas[0].url+"/.well-known/jwks.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "elsewhere.example.com"
	request.Header.Set("X-Forwarded-For", "192.0.2.1")
	if a := send(request, nil); a.status != http.StatusOK {
		t.Fatal(a)
	}
	for _, r := range c.replicas {
		r.await("tell of its work", func() bool { return r.of(c.listed()).Vitals.Routes["/oauth/token"].Count == 1 })
	}
	all := c.listed()
	for _, r := range c.replicas {
		checkVitals(t, r.of(all).Vitals, c.replicas[0].of(all).Vitals)
	}
	first := c.replicas[0].of(all).Vitals.Proxy
	if first.OtherHost != 1 || first.Host != "elsewhere.example.com" || first.Unbelieved != 1 || first.Trusted {
		t.Errorf("of the way here it says %+v", first)
	}
	checkAdminList(t, c.replicas[1], all)

	killed, told := c.replicas[0], c.replicas[1]
	killed.kill()
	if err := told.terminate(); err != nil {
		t.Fatal(err)
	}
	all = c.listed("--all")
	if !killed.of(all).Vitals.Ended.IsZero() {
		t.Error("one that was killed has said good-bye")
	}
	if v := told.of(all).Vitals; v.Ended.IsZero() || v.Ready || !v.Draining || !slices.Contains(v.Failing, "process: shutting down") {
		t.Errorf("one that was told to end says %+v", v)
	}
	if v := c.replicas[2].of(all).Vitals; !v.Ended.IsZero() || !v.Ready {
		t.Errorf("one that runs says %+v", v)
	}
}

func checkVitals(t *testing.T, v, first store.Vitals) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	known := v.Host != "" && v.Go != "" && v.Memory > 1<<20 && v.Heap > 0 && v.Goroutines > 5 && v.Files > 3 && v.FilesLimit > 0 && v.Processors > 0
	well := v.Ready && len(v.Failing) == 0 && v.Redis == "up" && v.Issuer == "https://auth.example.com" && v.Reload == "" && v.TLSUntil.IsZero()
	same := v.Config == first.Config && slices.Equal(v.Secrets, first.Secrets) && slices.Equal(v.SessionKeys, first.SessionKeys) && len(v.SessionKeys) == 1
	worked := len(v.Pools) == 4 && v.Pools[0].Limit > 0 && v.Queries["poll"].Count > 0 && v.Queries["poll"].P99 > 0 && v.Hasher.Places > 0
	counted := v.Counts[`tokens_issued_total{grant="client_credentials",format="opaque"}`] == 1
	if !known || !well || !same || !worked || !counted {
		t.Errorf("known %t, well %t, same %t, worked %t, counted %t: %s", known, well, same, worked, counted, text)
	}
	if len(text) > 16<<10 {
		t.Errorf("the vitals are %d bytes long", len(text))
	}
	if strings.Contains(string(text), testSecret) { // promise P9
		t.Errorf("the vitals hold a secret: %s", text)
	}
}

func checkAdminList(t *testing.T, r *replica, all []store.Replica) {
	t.Helper()
	session, a := r.signIn(testSeedPassword)
	if a.status != http.StatusOK {
		t.Fatalf("sign in: got %s", a)
	}
	answered := r.ask("GET", "/admin/api/replicas", session)
	var list struct{ Items []store.Replica }
	if err := json.Unmarshal([]byte(answered.body), &list); err != nil {
		t.Fatalf("%v: %s", err, answered)
	}
	for _, one := range all {
		i := slices.IndexFunc(list.Items, func(r store.Replica) bool { return r.ID == one.ID })
		if i < 0 || list.Items[i].Vitals.Config != one.Vitals.Config || !list.Items[i].Vitals.Ready {
			t.Errorf("the listener for operators says %s, and nothing like it of %s", answered.body, one.ID)
		}
	}
}
