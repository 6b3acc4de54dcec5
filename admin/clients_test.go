package admin

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"oauth2-server/store"
)

// secretsOf is the hashes that the client is kept with.
func (o *operator) secretsOf(id string) []store.SecretHash {
	o.t.Helper()
	client, err := o.db.Client(o.t.Context(), id)
	if err != nil {
		o.t.Fatal(err)
	}
	return client.Secrets
}

func TestClientsThroughTheirLife(t *testing.T) {
	o := newOperator(t)
	var made clientMade
	o.ask(201, "POST", "/clients", `{"id":"shop","name":"Shop","scopes":["read","write"],"access_ttl":300}`).read(t, &made)
	o.audited("client.create", "shop")
	if made.ID != "shop" || made.Version != 1 || made.Secrets != 1 || made.AccessTTL != 300 || !slices.Equal(made.Grants, []string{"client_credentials"}) {
		t.Errorf("got %+v, want what was posted and the default grant", made)
	}
	if hashes := o.secretsOf("shop"); !slices.Equal(hashes, []store.SecretHash{store.HashSecret(made.Secret)}) {
		t.Error("the secret that was told is not the one that is kept")
	}
	o.refused(409, "POST", "/clients", `{"id":"shop"}`, "already")

	var changed clientMade
	r := o.ask(200, "PATCH", "/clients/shop", `{"scopes":["read"],"name":""}`, "If-Match", `"1"`)
	r.read(t, &changed)
	o.audited("client.update", "shop")
	if changed.Version != 2 || changed.ScopeText() != "read" || changed.Name != "" || changed.AccessTTL != 300 || changed.Secret != "" || r.Header.Get("ETag") != `"2"` {
		t.Errorf("got %+v, want the scopes and the name changed, and nothing else", changed)
	}

	for _, path := range []string{"", "/disable", "/enable", "/rotate-secret", "/retire-secret"} {
		method := "POST"
		if path == "" {
			method = "PATCH"
		}
		p := o.ask(409, method, "/clients/shop"+path, "", "If-Match", `"1"`).problem(t)
		if p.Version != 2 || p.ChangedBy != "admin:root@127.0.0.1" || p.ChangedAt == nil {
			t.Errorf("%s: got %+v, want that root made version 2", path, p)
		}
	}
	o.ask(409, "DELETE", "/clients/shop", "", "If-Match", `"1"`)

	if off := post[clientView](o, "/clients/shop/disable", ""); !off.Disabled || off.Version != 3 {
		t.Errorf("got %+v, want it disabled", off)
	}
	o.audited("client.update", "shop")
	if again := post[clientView](o, "/clients/shop/disable", ""); again.Version != 3 {
		t.Errorf("got version %d, want 3: nothing was to be done", again.Version)
	}
	if cuts, err := o.db.Cutoffs(t.Context()); err != nil || len(cuts) != 1 || cuts[0].Name != "shop" {
		t.Errorf("got %+v and %v, want the client cut off", cuts, err)
	}
	if on := post[clientView](o, "/clients/shop/enable", ""); on.Disabled || on.Version != 4 {
		t.Errorf("got %+v, want it enabled", on)
	}
	o.ask(204, "DELETE", "/clients/shop", "", "If-Match", `"4"`)
	o.audited("client.delete", "shop")
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		o.refused(404, method, "/clients/shop", "", `no client "shop"`)
	}
}

func TestAnUnchangedClientKeepsItsVersion(t *testing.T) {
	o := newOperator(t)
	o.ask(201, "POST", "/clients", `{"id":"shop","scopes":["read"]}`)
	if got := o.ask(200, "PATCH", "/clients/shop", `{"scopes":["read"],"origins":[]}`); !strings.Contains(got.body, `"version":1`) {
		t.Errorf("got %s, want version 1", got.body)
	}
}

func TestAClientHasTheGrantsThatAreSaid(t *testing.T) {
	o := newOperator(t)
	var none, public clientMade
	o.ask(201, "POST", "/clients", `{"grants":[]}`).read(t, &none)
	o.ask(201, "POST", "/clients", `{"auth_method":"none"}`).read(t, &public)
	if len(none.Grants)+len(public.Grants) > 0 || public.Secret != "" || public.Secrets != 0 {
		t.Errorf("got %+v and %+v, want no grants, and no secret of the public one", none, public)
	}
	var begins, ceases clientMade
	o.ask(200, "PATCH", "/clients/"+public.ID, `{"auth_method":"client_secret_basic"}`).read(t, &begins)
	if !slices.Equal(o.secretsOf(public.ID), []store.SecretHash{store.HashSecret(begins.Secret)}) {
		t.Error("a client that begins to authenticate was not told its secret")
	}
	o.ask(200, "PATCH", "/clients/"+public.ID, `{"auth_method":"none"}`).read(t, &ceases)
	if ceases.Secrets != 0 || ceases.Secret != "" {
		t.Errorf("got %+v, want no secret", ceases)
	}
}

func TestSecretsOverlapWhileOneIsRotated(t *testing.T) {
	o := newOperator(t)
	first, chosen := store.NewSecret(), store.NewSecret()
	o.ask(201, "POST", "/clients", fmt.Sprintf(`{"id":"shop","secret":%q}`, first))
	second := post[clientMade](o, "/clients/shop/rotate-secret", "").Secret
	o.audited("client.update", "shop")
	hash := store.HashSecret
	if got := o.secretsOf("shop"); !slices.Equal(got, []store.SecretHash{hash(second), hash(first)}) {
		t.Fatalf("got %d secrets, want the new one and the one before", len(got))
	}
	post[clientMade](o, "/clients/shop/rotate-secret", fmt.Sprintf(`{"secret":%q}`, chosen))
	if got := o.secretsOf("shop"); !slices.Equal(got, []store.SecretHash{hash(chosen), hash(second)}) {
		t.Fatalf("got %d secrets, want the chosen one and the one before", len(got))
	}
	if fields := o.wrong("POST", "/clients/shop/rotate-secret", fmt.Sprintf(`{"secret":%q}`, chosen)); !slices.Equal(fields, []string{"secret"}) {
		t.Errorf("the same secret: got %v", fields)
	}
	post[clientView](o, "/clients/shop/retire-secret", "")
	o.audited("client.update", "shop")
	if got := o.secretsOf("shop"); !slices.Equal(got, []store.SecretHash{hash(chosen)}) {
		t.Errorf("got %d secrets, want the newest", len(got))
	}
	o.refused(409, "POST", "/clients/shop/retire-secret", "", "no previous secret")
	o.ask(201, "POST", "/clients", `{"id":"page","auth_method":"none"}`)
	o.refused(409, "POST", "/clients/page/rotate-secret", "", "does not authenticate")
}

func TestAClientsSecretIsToldOnce(t *testing.T) {
	o := newOperator(t)
	chosen := store.NewSecret()
	if r := o.ask(201, "POST", "/clients", fmt.Sprintf(`{"id":"a","secret":%q}`, chosen)); strings.Contains(r.body, chosen) {
		t.Error("a chosen secret was repeated")
	}
	var made clientMade
	o.ask(201, "POST", "/clients", `{"id":"b"}`).read(t, &made)
	rotated := post[clientMade](o, "/clients/b/rotate-secret", "").Secret
	short := "only-31-characters-and-not-one-"
	if r := o.ask(400, "POST", "/clients", fmt.Sprintf(`{"secret":%q}`, short)); strings.Contains(r.body, short) {
		t.Error("a refused secret was repeated")
	}
	var hidden []string
	for _, secret := range []string{chosen, made.Secret, rotated, short} {
		hash, _ := store.HashSecret(secret).MarshalText()
		hidden = append(hidden, secret, string(hash))
	}
	o.hides(hidden, "/clients", "/clients/a", "/clients/b", "/audit")
}

func TestAWrongClientIsRefusedWithEveryField(t *testing.T) {
	o := newOperator(t)
	got := o.wrong("POST", "/clients", `{"id":"a b","secret":"short","grants":["password"],"scopes":["a\""],"audiences":["x#y"],"resources":["x#y"],"auth_method":"tls",
		"token_format":"xml","introspect":"all","access_ttl":-1,"redirect_uris":["javascript:alert(1)"],"origins":["null"],"name":"\u001b"}`)
	for _, field := range []string{"id", "secret", "grants", "scopes", "audiences", "resources", "auth_method", "token_format", "introspect", "access_ttl", "redirect_uris", "origins", "name"} {
		if !slices.Contains(got, field) {
			t.Errorf("got %v, want %s among them", got, field)
		}
	}
	if fields := o.wrong("PATCH", "/clients/robot", `{"scopes":["\""],"disabled":true}`); !slices.Equal(fields, []string{"disabled"}) {
		t.Errorf("got %v, want what no PATCH changes", fields)
	}
	if fields := o.wrong("PATCH", "/clients/robot", `{"scopes":["\""]}`); !slices.Equal(fields, []string{"scopes"}) {
		t.Errorf("got %v, want scopes", fields)
	}
	if c := get[clientView](o, "/clients/robot"); c.Version != 1 {
		t.Errorf("got version %d, want 1: nothing was changed", c.Version)
	}
}

func TestClientsAreListedInPages(t *testing.T) {
	o := newOperator(t)
	o.ask(201, "POST", "/clients", `{"id":"a","name":"The JSON One"}`)
	var ids []string
	path := "/clients?limit=2"
	for range 5 {
		page := get[clientList](o, path)
		for _, c := range page.Items {
			ids = append(ids, c.ID)
		}
		if page.Next == nil {
			break
		}
		path = "/clients?limit=2&after=" + *page.Next
	}
	if want := []string{"a", "json", "robot", "stranger"}; !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
	found := get[clientList](o, "/clients?search=jSoN")
	if len(found.Items) != 2 || found.Items[0].ID != "a" || found.Items[1].ID != "json" || found.Next != nil {
		t.Errorf("got %+v, want the one of that id and the one of that name", found)
	}
	if whole := get[clientList](o, "/clients?limit=4"); whole.Next != nil {
		t.Error("a page that holds the rest names a next one")
	}
}

// TestADeletionChecksWhatItDeletes: a change that comes between the request and the deletion is not lost.
func TestADeletionChecksWhatItDeletes(t *testing.T) {
	o := newOperator(t)
	o.db.beforeDelete = func() { o.ask(200, "PATCH", "/clients/robot", `{"name":"renamed"}`) }
	p := o.ask(409, "DELETE", "/clients/robot", "", "If-Match", `"1"`).problem(t)
	if p.Version != 2 || p.ChangedBy != "admin:root@127.0.0.1" || get[clientView](o, "/clients/robot").Name != "renamed" {
		t.Errorf("got %+v, want the client left as it was changed", p)
	}
}

// TestIfMatchOfAnyDemandsOne: RFC 9110 §13.1.1.
func TestIfMatchOfAnyDemandsOne(t *testing.T) {
	o := newOperator(t)
	limit := `{"name":"nobody","endpoint":"introspect","key":"client","rate":500,"period":"1s","burst":1000,"mode":"enforce"}`
	for _, c := range [][3]string{
		{"PATCH", "/clients/nobody", `{"name":"x"}`},
		{"DELETE", "/clients/nobody", ""},
		{"DELETE", "/users/nobody", ""},
		{"DELETE", "/limits/nobody", ""},
		{"PUT", "/limits/nobody", limit},
		{"POST", "/limits/nobody/rollback", ""},
	} {
		o.ask(409, c[0], c[1], c[2], "If-Match", "*")
	}
	o.ask(404, "GET", "/limits/nobody", "")
	o.ask(201, "PUT", "/limits/nobody", limit)
	o.ask(200, "PUT", "/limits/nobody", strings.Replace(limit, `"rate":500`, `"rate":400`, 1), "If-Match", "*")
	o.ask(204, "DELETE", "/clients/robot", "", "If-Match", "*")
}

func TestOneOfManyChangesOfAVersionSucceeds(t *testing.T) {
	o := newOperator(t)
	if got := o.race(64, "PATCH", "/clients/robot", `{"name":"changed","version":1}`); got[200] != 1 || got[409] != 63 {
		t.Errorf("got %v, want one 200 and 63 times 409", got)
	}
	if rows := o.audits(store.AuditQuery{Object: "robot", Action: "client.update", Limit: 100}); len(rows) != 1 {
		t.Errorf("got %d audit rows, want one", len(rows))
	}
}
