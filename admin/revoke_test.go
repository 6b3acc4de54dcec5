package admin

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

func TestADryRunCountsAndRevokesNothing(t *testing.T) {
	o := newOperator(t)
	o.rows(3, "robot", time.Minute)
	o.rows(2, "json", time.Minute)
	expired := o.server.now().Add(-time.Hour)
	r := store.Record{ID: store.NewID(expired), Expires: expired.Unix(), Position: o.tier.Position(), Client: []byte("robot"), Subject: []byte("of robot")}
	if err := o.db.InsertTokens(t.Context(), []store.Token{{TokenKey: store.TokenKey{ID: r.ID, Expires: r.Expires}, Record: r.Append(nil)}}); err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]int64{
		`{"kind":"client","name":"robot"}`:                              3,
		`{"kind":"subject","name":"of json"}`:                           2,
		`{"kind":"subject","name":"of nobody"}`:                         0,
		fmt.Sprintf(`{"kind":"grant","name":%q}`, store.NewID(expired)): 0,
	} {
		hits := post[revocation](o, "/revoke?dry_run=true", body)
		if !hits.DryRun || *hits.Tokens != want || *hits.Estimate || *hits.Scanned != 6 || !strings.Contains(hits.Note, "JWTs are not recorded") || hits.Cutoff != nil {
			t.Errorf("%s: got %+v, want %d counted", body, hits, want)
		}
	}
	all := post[revocation](o, "/revoke?dry_run=true", `{"kind":"all"}`)
	if !all.DryRun || *all.Tokens != 6 || !*all.Estimate || !strings.Contains(all.Note, "expired") {
		t.Errorf("got %+v, want all rows", all)
	}
	if cuts, err := o.db.Cutoffs(t.Context()); err != nil || len(cuts) != 0 {
		t.Errorf("got %+v and %v, want nothing cut off", cuts, err)
	}
	if rows := o.audits(store.AuditQuery{Actor: "admin:", Limit: 10}); len(rows) != 0 {
		t.Errorf("got %+v, want no row of what was not done", rows)
	}

	// What is dead already is not hit again.
	post[revocation](o, "/revoke", `{"kind":"subject","name":"of json"}`)
	if hits := post[revocation](o, "/revoke?dry_run=true", `{"kind":"client","name":"json"}`); *hits.Tokens != 0 {
		t.Errorf("got %+v, want nothing left to hit", hits)
	}
}

func TestRevocationEndsWhatItNames(t *testing.T) {
	for _, one := range []struct {
		body, object string
		hit          []string // of robot and json
	}{
		{`{"kind":"client","name":"robot"}`, "client robot", []string{"robot"}},
		{`{"kind":"subject","name":"json"}`, "subject json", []string{"json"}},
		{`{"kind":"all","confirm":"all"}`, "all", []string{"robot", "json"}},
	} {
		t.Run(one.object, func(t *testing.T) {
			o := newOperator(t)
			texts := map[string]string{"robot": o.token("robot", "read"), "json": o.token("json", "admin")}
			done := post[revocation](o, "/revoke", one.body)
			row := o.audited("cutoff", one.object)
			if done.DryRun || done.Cutoff == nil || done.Cutoff.Number == 0 || done.Tokens != nil || !strings.Contains(string(row.After), fmt.Sprint(done.Cutoff.Number)) {
				t.Fatalf("got %+v, want the cut-off with its number", done)
			}
			for o.tier.Position() < done.Cutoff.Number {
				o.tier.AwaitPoll()
			}
			for client, text := range texts {
				if hit := slices.Contains(one.hit, client); o.active(text) == hit {
					t.Errorf("the token of %s: got active %v", client, !hit)
				}
			}
		})
	}
}

func TestRevocationOfAGrant(t *testing.T) {
	o := newOperator(t)
	grant, now := store.NewID(time.Now()), o.server.now()
	r := store.Record{ID: store.NewID(now), Grant: grant, Issued: now.Unix(), Expires: now.Unix() + 60, Position: o.tier.Position(), Client: []byte("robot"), Subject: []byte("ann")}
	if err := o.db.InsertTokens(t.Context(), []store.Token{{TokenKey: store.TokenKey{ID: r.ID, Expires: r.Expires}, Record: r.Append(nil)}}); err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"kind":"grant","name":%q}`, grant)
	if hits := post[revocation](o, "/revoke?dry_run=true", body); *hits.Tokens != 1 {
		t.Errorf("got %+v, want one token", hits)
	}
	done := post[revocation](o, "/revoke", body)
	o.audited("deny", "grant "+grant.String())
	if done.Denial == nil || done.Denial.ID != grant || done.Denial.Expires < r.Expires || !o.tier.Dead(&r) {
		t.Errorf("got %+v, want the grant denied until its last token is dead", done)
	}
	if v := get[tokenView](o, "/tokens/"+r.ID.String()); v.Active || v.Denied == nil || v.Denied.What != "grant" {
		t.Errorf("got %+v, want that its grant was denied", v)
	}
}

// Who is called by name is hit by id, and an answer never passes nobody off for somebody.
func TestRevocationSaysWhomItHits(t *testing.T) {
	o := newOperator(t)
	o.ask(201, "POST", "/users", `{"username":"dora"}`)
	o.ask(201, "POST", "/users", `{"username":"robot"}`)
	dora := get[userView](o, "/users/dora").ID
	for _, one := range []struct{ name, subject, whom string }{
		{"Dora", dora.String(), `user "dora"`},
		{dora.String(), dora.String(), `user "dora"`},
		{"json", "json", `client "json"`},
		{"robot", "robot", `client "robot", and not the user of the same name, whose id is `},
		{"dor", "dor", "nobody who is known"},
	} {
		body := fmt.Sprintf(`{"kind":"subject","name":%q}`, one.name)
		for _, path := range []string{"/revoke?dry_run=true", "/revoke"} {
			done := post[revocation](o, path, body)
			if done.Name != one.subject || !strings.HasPrefix(done.Whom, one.whom) || done.Cutoff != nil && done.Cutoff.Name != one.subject {
				t.Errorf("%s of %s: got %+v, want %s and %s", path, one.name, done, one.subject, one.whom)
			}
		}
	}
}

func TestASlipRevokesNothing(t *testing.T) {
	o := newOperator(t)
	o.refused(404, "POST", "/revoke", `{"kind":"client","name":"mistyped"}`, `no client "mistyped"`)
	for body, field := range map[string]string{
		``: "kind", `{}`: "kind", `{"kind":"everything"}`: "kind", `{"kind":"client"}`: "name", `{"kind":"subject"}`: "name",
		`{"kind":"grant","name":"x"}`: "name", `{"kind":"all"}`: "confirm", `{"kind":"all","confirm":"yes"}`: "confirm",
		`{"kind":"all","confirm":"all","name":"robot"}`: "name", `{"kind":"all","confirm":"all","client":"robot"}`: "client",
	} {
		if got := o.wrong("POST", "/revoke", body); !slices.Equal(got, []string{field}) {
			t.Errorf("%s: got %v, want %s", body, got, field)
		}
	}
	o.ask(400, "POST", "/revoke?dryrun=true", `{"kind":"all","confirm":"all"}`)
	if cuts, err := o.db.Cutoffs(t.Context()); err != nil || len(cuts) != 0 {
		t.Errorf("got %+v and %v, want nothing cut off", cuts, err)
	}
}
