package admin

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/hotpath/explain"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// rows puts n rows of tokens that live for an hour, issued from some time ago on, the newest last.
func (o *operator) rows(n int, client string, ago time.Duration) (ids []store.ID) {
	o.t.Helper()
	now := o.server.now()
	var all []store.Token
	for i := range n {
		r := store.Record{
			ID: store.NewID(now.Add(time.Duration(i)*time.Millisecond - ago)), Issued: now.Unix(), Expires: now.Unix() + 3600,
			Position: o.tier.Position(), Client: []byte(client), Subject: []byte("of " + client),
		}
		all = append(all, store.Token{TokenKey: store.TokenKey{ID: r.ID, Expires: r.Expires}, Record: r.Append(nil)})
		ids = append(ids, r.ID)
	}
	if err := o.db.InsertTokens(o.t.Context(), all); err != nil {
		o.t.Fatal(err)
	}
	return ids
}

// active is the verdict of introspection.
func (o *operator) active(text string) bool {
	o.t.Helper()
	active, err := o.rules.Introspect(everything, []byte(text), new(oauth.Reading))
	if err != nil {
		o.t.Fatal(err)
	}
	return active
}

// idOf is the id in the text of an opaque token.
func (o *operator) idOf(text string) store.ID {
	o.t.Helper()
	opaque, err := token.ParseOpaque(o.server.Ring, token.Access, []byte(text))
	if err != nil {
		o.t.Fatal(err)
	}
	return opaque.ID
}

func idsOf(list tokenList) (ids []store.ID) {
	for _, item := range list.Items {
		ids = append(ids, item.ID)
	}
	return ids
}

func TestTheNewestTokensAreListedInPages(t *testing.T) {
	o := newOperator(t)
	want := o.rows(5, "x", time.Minute)
	slices.Reverse(want)
	var got []store.ID
	path := "/tokens?limit=2"
	for page := range 3 {
		list := get[tokenList](o, path)
		got = append(got, idsOf(list)...)
		if last := page == 2; list.Complete != last || (list.Next == nil) != last || list.Scanned != len(list.Items) || !strings.Contains(list.Note, "JWTs are not recorded") {
			t.Fatalf("page %d: got %+v", page, list)
		}
		if list.Next != nil {
			path = "/tokens?limit=2&before=" + list.Next.String()
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if list := get[tokenList](o, "/tokens?limit=5"); !list.Complete || list.Next != nil || len(list.Items) != 5 {
		t.Errorf("got %+v, want all five and no next page", list)
	}
}

func TestAScanOfTokensIsBoundedAndSaysSo(t *testing.T) {
	o := newOperator(t)
	old := o.rows(3, "rare", time.Hour)
	o.rows(maxScan+1, "busy", time.Minute)
	list := get[tokenList](o, "/tokens?client=rare")
	if len(list.Items) != 0 || list.Scanned != maxScan || list.Complete || list.Next == nil {
		t.Fatalf("got %d items, scanned %d, complete %v, want nothing of %d, and that it is not all", len(list.Items), list.Scanned, list.Complete, maxScan)
	}
	rest := get[tokenList](o, "/tokens?subject=of%20rare&limit=2&before="+list.Next.String())
	if !slices.Equal(idsOf(rest), []store.ID{old[2], old[1]}) || rest.Complete {
		t.Errorf("got %+v, want the newest two of three", rest)
	}
	end := get[tokenList](o, "/tokens?client=rare&before="+rest.Next.String())
	if !slices.Equal(idsOf(end), old[:1]) || !end.Complete || end.Next != nil {
		t.Errorf("got %+v, want the last one and that this is all", end)
	}

	hits := post[revocation](o, "/revoke?dry_run=true", `{"kind":"subject","name":"of rare"}`)
	if *hits.Tokens != 0 || !*hits.Estimate || *hits.Scanned != maxScan || !strings.Contains(hits.Note, "extrapolated") || !strings.Contains(hits.Note, "JWTs") {
		t.Errorf("got %+v, want an estimate that says it is one", hits)
	}
	hits = post[revocation](o, "/revoke?dry_run=true", `{"kind":"subject","name":"of busy"}`)
	if total, err := o.db.CountTokens(t.Context()); err != nil || *hits.Matched != maxScan || *hits.Tokens != total || total <= maxScan {
		t.Errorf("got %+v, want all of about %d rows (%v)", hits, total, err)
	}
}

func TestATokenTellsWhatEndedIt(t *testing.T) {
	o := newOperator(t)
	ids := o.rows(3, "robot", time.Minute)
	if v := get[tokenView](o, "/tokens/"+ids[0].String()); !v.Active || v.Client != "robot" || v.Subject != "of robot" || v.Denied != nil || v.CutOff != nil {
		t.Errorf("got %+v, want it active", v)
	}
	var done revoked
	o.ask(200, "POST", "/tokens/"+ids[0].String()+"/revoke", "").read(t, &done)
	o.audited("deny", "token "+ids[0].String())
	if done.ID != ids[0] || done.Client != "robot" {
		t.Errorf("got %+v, want the token", done)
	}
	if v := get[tokenView](o, "/tokens/"+ids[0].String()); v.Active || v.Denied == nil || v.Denied.By != "admin:root@127.0.0.1" || v.CutOff != nil {
		t.Errorf("got %+v, want who denied it", v)
	}
	cut := post[revocation](o, "/revoke", `{"kind":"client","name":"robot"}`)
	for _, v := range get[tokenList](o, "/tokens").Items {
		if v.Active || v.CutOff == nil || v.CutOff.Change != cut.Cutoff.Number || !strings.Contains(v.CutOff.What, `client "robot"`) || (v.Denied != nil) != (v.ID == ids[0]) {
			t.Errorf("got %+v, want it cut off by the change %d", v, cut.Cutoff.Number)
		}
	}
	o.refused(409, "POST", "/tokens/"+ids[0].String()+"/revoke", "", "not active", "revoked at")
	o.refused(409, "POST", "/tokens/"+ids[1].String()+"/revoke", "", "not active", `client "robot"`)
	for _, body := range []string{`{"kind":"subject","name":"of robot"}`, `{"kind":"client","name":"robot"}`, `{"kind":"all","confirm":"all"}`} {
		last := post[revocation](o, "/revoke", body).Cutoff.Number
		o.signInAgain()
		if v := get[tokenView](o, "/tokens/"+ids[1].String()); v.CutOff == nil || v.CutOff.Change != last {
			t.Errorf("after %s: got %+v, want the last cut-off, %d", body, v.CutOff, last)
		}
	}
}

func TestATokenIsRevokedByItsIDOrItsText(t *testing.T) {
	o := newOperator(t)
	opaque, other, jwt := o.token("robot", "read"), o.token("robot", "read"), o.token("json", "admin")
	for _, one := range []struct{ text, body string }{
		{opaque, fmt.Sprintf(`{"id":%q}`, o.idOf(opaque))},
		{other, fmt.Sprintf(`{"token":%q}`, other)},
		{jwt, fmt.Sprintf(`{"token":%q}`, jwt)},
	} {
		if !o.active(one.text) {
			t.Fatal("the token is not active to begin with")
		}
		done := post[revoked](o, "/tokens/revoke", one.body)
		o.audited("deny", "token "+done.ID.String())
		if o.active(one.text) {
			t.Errorf("%s: still active when its revocation was answered", done.Client)
		}
		o.refused(409, "POST", "/tokens/revoke", one.body, "not active", "revoked at")
	}
	o.refused(409, "POST", "/tokens/revoke", `{"token":"garbage"}`, "no token of this server")
	for _, body := range []string{"", "{}", fmt.Sprintf(`{"id":%q,"token":"x"}`, store.NewID(time.Now()))} {
		o.refused(400, "POST", "/tokens/revoke", body, "one of them")
	}
	o.hides([]string{opaque, other, jwt}, "/tokens", "/audit")
}

func TestAnIDThatIsNotRecordedSaysWhatToDo(t *testing.T) {
	o := newOperator(t)
	id := store.NewID(time.Now()).String()
	for _, one := range []struct{ method, path, body string }{
		{"GET", "/tokens/" + id, ""}, {"POST", "/tokens/" + id + "/revoke", ""}, {"POST", "/tokens/revoke", fmt.Sprintf(`{"id":%q}`, id)},
	} {
		o.refused(404, one.method, one.path, one.body, "JWTs are not recorded", "by its text", "client")
	}
	o.ask(400, "GET", "/tokens/robot", "")
}

func TestATokenIsExplained(t *testing.T) {
	o := newOperator(t)
	opaque, jwt := o.token("robot", "read"), o.token("json", "admin")
	told := func(text string) explain.Explanation {
		t.Helper()
		r := o.ask(200, "POST", "/tokens/explain", fmt.Sprintf(`{"token":%q}`, text))
		var e explain.Explanation
		r.read(t, &e)
		if strings.Contains(r.body, text) {
			t.Error("the token is in the answer")
		}
		return e
	}
	if e := told(opaque); !e.Active || e.Kind != "access" || e.Client != "robot" || e.ClientState != "enabled" || e.ID != o.idOf(opaque) || !*e.InStore {
		t.Errorf("got %+v, want an active token of robot", e)
	}
	if e := told(jwt); !e.Active || e.Kind != "jwt" || e.Client != "json" || e.Issuer != testIssuer {
		t.Errorf("got %+v, want an active token of json", e)
	}
	if e := told(opaque[:50]); e.Active || !strings.Contains(e.Cause, "malformed") {
		t.Errorf("got %+v, want that it is cut", e)
	}
	post[clientView](o, "/clients/json/disable", "")
	if e := told(jwt); e.Active || e.CutOff == nil || e.CutOff.By != "admin:root@127.0.0.1" || e.ClientState != "disabled" {
		t.Errorf("got %+v, want that its client was cut off", e)
	}
	if rows := o.audits(store.AuditQuery{Action: "deny", Limit: 1}); len(rows) != 0 {
		t.Error("explaining a token denied it")
	}
}
