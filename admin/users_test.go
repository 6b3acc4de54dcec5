package admin

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"oauth2-server/store"
)

func TestUsersThroughTheirLife(t *testing.T) {
	o := newOperator(t)
	var made userMade
	o.ask(201, "POST", "/users", `{"username":" Bob","email":"bob@example.com"}`).read(t, &made)
	id := "user " + made.ID.String()
	o.audited("user.create", id)
	if made.Username != "bob" || made.Role != store.RoleUser || made.Email != "bob@example.com" || made.Version != 1 || len(made.Password) < 20 {
		t.Errorf("got %+v, want a user with a password", made)
	}
	o.refused(409, "POST", "/users", `{"username":"bob"}`, "already")
	for _, who := range []string{made.ID.String(), "bob", "BOB"} {
		if got := get[userView](o, "/users/"+who); got.ID != made.ID {
			t.Errorf("%s: got %+v, want bob", who, got)
		}
	}

	var changed userView
	o.ask(200, "PATCH", "/users/bob", `{"email":""}`, "If-Match", `"1"`).read(t, &changed)
	o.audited("user.update", id)
	if changed.Version != 2 || changed.Email != "" || changed.Role != store.RoleUser {
		t.Errorf("got %+v, want the address gone", changed)
	}
	p := o.ask(409, "PATCH", "/users/bob", `{"role":"admin","version":1}`).problem(t)
	if p.Version != 2 || p.ChangedBy != "admin:root@127.0.0.1" {
		t.Errorf("got %+v, want that root made version 2", p)
	}
	if same := o.ask(200, "PATCH", "/users/bob", `{"role":"user"}`); !strings.Contains(same.body, `"version":2`) {
		t.Errorf("got %s, want version 2: nothing was changed", same.body)
	}
	o.ask(200, "POST", "/users/bob/disable", "")
	o.audited("user.update", id)
	if again := post[userView](o, "/users/bob/disable", ""); !again.Disabled || again.Version != 3 {
		t.Errorf("got %+v, want version 3, disabled", again)
	}
	if on := post[userView](o, "/users/bob/enable", ""); on.Disabled {
		t.Errorf("got %+v, want him enabled", on)
	}
	o.ask(409, "DELETE", "/users/bob", "", "If-Match", `"1"`)
	o.ask(204, "DELETE", "/users/bob", "")
	o.audited("user.delete", id)
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		o.refused(404, method, "/users/bob", "", `no user "bob"`)
	}
}

func TestAnOperatorWhoIsShutOutIsOutAtOnce(t *testing.T) {
	for name, shut := range map[string]func(o *operator){
		"disabled": func(o *operator) { o.ask(200, "POST", "/users/bob/disable", "") },
		"demoted":  func(o *operator) { o.ask(200, "PATCH", "/users/bob", `{"role":"user"}`) },
		"password": func(o *operator) { o.ask(200, "POST", "/users/bob/password", "") },
		"deleted":  func(o *operator) { o.ask(204, "DELETE", "/users/bob", "") },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t)
			o.addUser("bob", store.RoleAdmin)
			bob := &operator{o.site, o.signIn("bob")}
			bob.ask(200, "GET", "/users", "")
			shut(o)
			bob.ask(401, "GET", "/users", "")
		})
	}
}

func TestAUsersPasswordIsToldOnce(t *testing.T) {
	o := newOperator(t)
	chosen := "a password that was chosen"
	if r := o.ask(201, "POST", "/users", fmt.Sprintf(`{"username":"eve","role":"admin","password":%q}`, chosen)); strings.Contains(r.body, chosen) {
		t.Error("a chosen password was repeated")
	}
	var made userMade
	o.ask(201, "POST", "/users", `{"username":"bob"}`).read(t, &made)
	set := post[userMade](o, "/users/bob/password", "")
	o.audited("user.password", "user "+made.ID.String())
	if set.Password == "" || set.Password == made.Password {
		t.Error("no new password was told")
	}
	if r := o.ask(200, "POST", "/users/eve/password", `{"password":"another one that was chosen"}`); strings.Contains(r.body, "another") {
		t.Error("a chosen password was repeated")
	}
	user, err := o.db.UserByName(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if same, err := o.server.Door.Hasher.Verify(t.Context(), user.Password, set.Password); !same || err != nil {
		t.Errorf("got %v and %v, want the password that was told", same, err)
	}
	o.hides([]string{chosen, "another one", made.Password, set.Password, user.Password, "argon2id"}, "/users", "/users/bob", "/users/eve", "/audit")
}

func TestAWrongUserIsRefusedWithEveryField(t *testing.T) {
	o := newOperator(t)
	if got := o.wrong("POST", "/users", `{"username":"a b","email":"nobody","password":"short"}`); !slices.Equal(got, []string{"username", "email", "password"}) {
		t.Errorf("got %v", got)
	}
	if got := o.wrong("POST", "/users", `{"role":"root"}`); !slices.Equal(got, []string{"role", "username"}) {
		t.Errorf("got %v", got)
	}
	if got := o.wrong("PATCH", "/users/ann", `{"email":"nobody"}`); !slices.Equal(got, []string{"email"}) {
		t.Errorf("got %v", got)
	}
	if got := o.wrong("POST", "/users/ann/password", `{"password":"short"}`); !slices.Equal(got, []string{"password"}) {
		t.Errorf("got %v", got)
	}
}

func TestNobodyShutsHimselfOut(t *testing.T) {
	o := newOperator(t)
	o.addUser("bob", store.RoleAdmin)
	o.refused(409, "POST", "/users/root/disable", "", "yourself")
	o.refused(409, "DELETE", "/users/root", "", "yourself")
	o.refused(409, "PATCH", "/users/root", `{"role":"user"}`, "yourself")
	o.ask(200, "PATCH", "/users/root", `{"email":"root@example.com"}`)
	o.ask(200, "POST", "/users/root/password", `{"password":"a new one for myself"}`)
	o.ask(401, "GET", "/users", "")
}

func TestTheLastOperatorStays(t *testing.T) {
	s := newSite(t)
	bearer := "Bearer " + s.token("robot", "admin", testIssuer)
	ask := func(status int, method, path, body string) reply {
		t.Helper()
		return s.do(method, "/admin/api/users/"+path, body, "Authorization", bearer).want(t, status)
	}
	for _, last := range []struct{ method, path, body string }{{"POST", "root/disable", ""}, {"DELETE", "root", ""}, {"PATCH", "root", `{"role":"user"}`}} {
		if p := ask(409, last.method, last.path, last.body).problem(t); !strings.Contains(p.Detail, "last operator") {
			t.Errorf("%s %s: got %q", last.method, last.path, p.Detail)
		}
	}
	s.addUser("bob", store.RoleAdmin)
	ask(200, "POST", "bob/disable", "")
	ask(409, "DELETE", "root", "") // one who is disabled does not count
	ask(200, "POST", "bob/enable", "")
	ask(204, "DELETE", "root", "")
	rows, err := s.db.Audits(t.Context(), store.AuditQuery{Action: "user.delete", Limit: 1})
	if err != nil || len(rows) != 1 || rows[0].Actor != "admin:client:robot@127.0.0.1" {
		t.Errorf("got %+v and %v, want the client as the actor", rows, err)
	}
}

func TestUsersAreListedInPages(t *testing.T) {
	o := newOperator(t)
	o.addUser("bob", store.RoleUser)
	first := get[userList](o, "/users?limit=2")
	if len(first.Items) != 2 || first.Items[0].Username != "ann" || first.Next == nil || *first.Next != "bob" {
		t.Fatalf("got %+v, want ann and bob", first)
	}
	second := get[userList](o, "/users?limit=2&after="+*first.Next)
	if len(second.Items) != 1 || second.Items[0].Username != "root" || second.Next != nil {
		t.Errorf("got %+v, want root", second)
	}
}

func TestOneOfManyChangesOfAUserSucceeds(t *testing.T) {
	o := newOperator(t)
	if got := o.race(64, "PATCH", "/users/ann", `{"email":"ann@example.com","version":1}`); got[200] != 1 || got[409] != 63 {
		t.Errorf("got %v, want one 200 and 63 times 409", got)
	}
}
