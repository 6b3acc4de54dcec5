package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"oauth2-server/store"
)

func (s suite) grants(t *testing.T) {
	s.rule(t, "ListedByEachField", grantsListed)
	s.rule(t, "RevokedAreDeniedInOneChange", grantsRevoked)
	s.rule(t, "ExpiredLatelyIsDenied", grantsExpiredLately)
	s.rule(t, "DeniedIsRevoked", grantsDenied)
	s.rule(t, "SessionEndsThoseThatAreNotOffline", grantsSession)
	s.rule(t, "DeletingAUserLeavesNothing", grantsUserDeleted)
	s.rule(t, "DeletingAClientLeavesNothing", grantsClientDeleted)
	s.rule(t, "ConsentGrowsAndIsWithdrawn", consentsKept)
	s.rule(t, "LogoutsAreClaimedOnce", logoutsClaimed)
	s.rule(t, "OneOfManyClaimsALogout", logoutsRace)
}

func makeGrant(t testing.TB, db Store, code store.Code) store.Grant {
	t.Helper()
	putCode(t, db, code)
	made, err := db.RedeemCode(testContext(t), redemption(code))
	must(t, err)
	return made.Grant
}

func wantGrant(t testing.TB, db Store, want store.Grant) {
	t.Helper()
	got, err := db.Grant(testContext(t), want.ID)
	must(t, err)
	same(t, "grant", got, want)
}

// wantDenied checks that the change denies the grants and no others, and that each is revoked.
func wantDenied(t testing.TB, db Store, change store.Change, by store.Actor, ids ...store.ID) {
	t.Helper()
	var got, want []string
	for _, d := range change.Denials {
		got = append(got, fmt.Sprintln(d.Kind, d.ID, d.Actor))
		if life := d.Expires - now().Unix(); life < int64(store.MaxTokenLife/time.Second)-3600 {
			t.Errorf("the denial ends in %d s, before what it kills", life)
		}
	}
	for _, id := range ids {
		want = append(want, fmt.Sprintln(store.DenyGrant, id, by))
		if g, err := db.Grant(testContext(t), id); err == nil && !g.Revoked {
			t.Errorf("grant %s is denied and not revoked", id)
		}
		denied(t, db, store.Denial{Kind: store.DenyGrant, ID: id})
	}
	slices.Sort(got)
	slices.Sort(want)
	same(t, "denials of the change", got, want)
}

func grantsListed(t *testing.T, db Store) {
	ctx := testContext(t)
	user := newID()
	var all []store.Grant
	for range 5 {
		all = append(all, makeGrant(t, db, newCode(user)))
	}
	other := newCode(newID())
	other.Client, other.Grant.Client, other.Grant.Offline = "other", "other", false
	all = append(all, makeGrant(t, db, other))
	dead := newCode(user)
	dead.Grant.Expires = time.Unix(inHours(-1), 0).UTC()
	all = append(all, makeGrant(t, db, dead))
	slices.SortFunc(all, func(a, b store.Grant) int { return slices.Compare(b.ID[:], a.ID[:]) })
	f := func(query store.GrantQuery, want func(i int, g store.Grant) bool) {
		t.Helper()
		query.Limit = 100
		got, err := db.Grants(ctx, query)
		must(t, err)
		got, selected := append([]store.Grant{}, got...), []store.Grant{}
		for i, g := range all {
			if want(i, g) {
				selected = append(selected, g)
			}
		}
		same(t, fmt.Sprintf("grants of %+v", query), got, selected)
	}
	f(store.GrantQuery{}, func(int, store.Grant) bool { return true })
	f(store.GrantQuery{Subject: user.String()}, func(_ int, g store.Grant) bool { return g.Subject == user.String() })
	f(store.GrantQuery{Client: "other"}, func(_ int, g store.Grant) bool { return g.Client == "other" })
	f(store.GrantQuery{Subject: user.String(), Client: "other"}, func(int, store.Grant) bool { return false })
	f(store.GrantQuery{ID: all[3].ID}, func(i int, _ store.Grant) bool { return i == 3 })
	f(store.GrantQuery{Before: all[3].ID}, func(i int, _ store.Grant) bool { return i > 3 })
	f(store.GrantQuery{Session: other.Grant.Session}, func(_ int, g store.Grant) bool { return g.Client == "other" })
	f(store.GrantQuery{Session: dead.Grant.Session}, func(int, store.Grant) bool { return false }) // offline
	f(store.GrantQuery{Live: true}, func(_ int, g store.Grant) bool { return g.ID != dead.Grant.ID })
	page, err := db.Grants(ctx, store.GrantQuery{Limit: 2})
	must(t, err)
	same(t, "a page", page, all[:2])
}

func grantsRevoked(t *testing.T, db Store) {
	ctx := testContext(t)
	user := newID()
	one, two, other := makeGrant(t, db, newCode(user)), makeGrant(t, db, newCode(user)), makeGrant(t, db, newCode(newID()))
	cursor := position(t, ctx, db)
	for _, want := range []int{2, 0} { // the second time none lives
		n, err := db.RevokeGrants(ctx, actor, store.GrantQuery{Subject: user.String()})
		must(t, err)
		same(t, "revoked", n, want)
	}
	wantDenied(t, db, since(t, ctx, db, cursor, 1)[0], actor, one.ID, two.ID)
	wantGrant(t, db, other)
	rows := audits(t, ctx, db, 2)
	same(t, "actions", []string{rows[0].Action, rows[1].Action}, []string{"deny", "deny"})
}

// What was made from a grant before it expired may live for as long as an access token.
func grantsExpiredLately(t *testing.T, db Store) {
	ctx := testContext(t)
	lately, before := newCode(newID()), newCode(newID())
	lately.Grant.Expires, before.Grant.Expires = time.Unix(inHours(-23), 0).UTC(), time.Unix(inHours(-25), 0).UTC()
	dies, dead := makeGrant(t, db, lately), makeGrant(t, db, before)
	cursor := position(t, ctx, db)
	n, err := db.RevokeGrants(ctx, actor, store.GrantQuery{Client: "web"})
	must(t, err)
	same(t, "revoked", n, 1)
	wantDenied(t, db, since(t, ctx, db, cursor, 1)[0], actor, dies.ID)
	wantGrant(t, db, dead)
}

// A denial expires, its grant may live longer: what was denied does not come back.
func grantsDenied(t *testing.T, db Store) {
	ctx := testContext(t)
	one, two, other := makeGrant(t, db, newCode(newID())), makeGrant(t, db, newCode(newID())), makeGrant(t, db, newCode(newID()))
	denial := func(g store.Grant) []store.Denial {
		return []store.Denial{{Kind: store.DenyGrant, ID: g.ID, Expires: inHours(30), Actor: actor.String()}}
	}
	must(t, db.Deny(ctx, denial(one)))
	must(t, db.Rewrite(ctx, actor, position(t, ctx, db).Seq, denial(two), nil))
	for _, g := range []store.Grant{one, two} {
		g.Revoked = true
		wantGrant(t, db, g)
		same(t, "a rotation", rotateAll(t, db, turn(g))[0].Outcome, store.RotationRefused)
	}
	wantGrant(t, db, other)
}

func grantsSession(t *testing.T, db Store) {
	ctx := testContext(t)
	online, offline := newCode(newID()), newCode(newID())
	online.Grant.Offline, offline.Grant.Session = false, online.Grant.Session
	dies, lives := makeGrant(t, db, online), makeGrant(t, db, offline)
	cursor := position(t, ctx, db)
	_, err := db.RevokeGrants(ctx, actor, store.GrantQuery{Session: online.Grant.Session})
	must(t, err)
	wantDenied(t, db, since(t, ctx, db, cursor, 1)[0], actor, dies.ID)
	wantGrant(t, db, lives)
}

// wantNothing checks that nothing of a grant and its user is there.
func wantNothing(t testing.TB, db Store, g store.Grant, user store.ID) {
	t.Helper()
	ctx := testContext(t)
	_, err := db.Grant(ctx, g.ID)
	wantError(t, "grant", err, store.ErrNotFound)
	consents, err := db.Consents(ctx, user)
	must(t, err)
	same(t, "consents", len(consents), 0)
	logouts, err := db.ClaimLogouts(ctx, 10, time.Hour)
	must(t, err)
	same(t, "logouts", len(logouts), 0)
}

func newLogout(user store.ID) store.Logout {
	return store.Logout{ID: newID(), Client: "web", Subject: user.String(), Session: newID(), Next: now().Add(-time.Hour)}
}

func grantsUserDeleted(t *testing.T, db Store) {
	ctx := testContext(t)
	user, stays := makeUser(t, db, "alice"), newID()
	g, other := makeGrant(t, db, newCode(user.ID)), makeGrant(t, db, newCode(stays))
	must(t, db.SaveConsent(ctx, store.Consent{User: user.ID, Client: "web", Scopes: []string{"a"}}))
	must(t, db.SaveConsent(ctx, store.Consent{User: stays, Client: "web", Scopes: []string{"a"}}))
	must(t, db.QueueLogouts(ctx, []store.Logout{newLogout(user.ID)}))
	cursor := position(t, ctx, db)
	_, err := db.ChangeUser(ctx, actor, "user.delete", user.ID, func(*store.User) (*store.User, error) { return nil, nil })
	must(t, err)
	wantSubjectCut(t, db, "deleted", cursor, user.ID)
	wantDenied(t, db, since(t, ctx, db, cursor, 1)[0], actor, g.ID)
	wantNothing(t, db, g, user.ID)
	wantGrant(t, db, other)
	consents, err := db.Consents(ctx, stays)
	must(t, err)
	same(t, "consents of another", len(consents), 1)
}

func grantsClientDeleted(t *testing.T, db Store) {
	ctx := testContext(t)
	user := newID()
	create(t, db, "web")
	g, code, pushed := makeGrant(t, db, newCode(user)), putCode(t, db, newCode(user)), putPushed(t, db, inHours(1))
	must(t, db.SaveConsent(ctx, store.Consent{User: user, Client: "web", Scopes: []string{"a"}}))
	must(t, db.QueueLogouts(ctx, []store.Logout{newLogout(user)}))
	create(t, db, "zeta")
	stays := newCode(newID())
	stays.Client, stays.Grant.Client = "zeta", "zeta"
	other := makeGrant(t, db, stays)
	must(t, db.DeleteClient(ctx, actor, "web", nil))
	must(t, db.Maintain(ctx))
	wantNothing(t, db, g, user)
	wantGrant(t, db, other)
	_, err := db.RedeemCode(ctx, redemption(code))
	wantError(t, "code", err, store.ErrNotFound)
	_, err = db.Pushed(ctx, pushed.ID)
	wantError(t, "pushed request", err, store.ErrNotFound)
}

func consentsKept(t *testing.T, db Store) {
	ctx := testContext(t)
	user := newID()
	save := func(client string, scopes, audiences []string) {
		must(t, db.SaveConsent(ctx, store.Consent{User: user, Client: client, Scopes: scopes, Audiences: audiences}))
	}
	save("web", []string{"openid", "b", "B"}, nil)
	save("web", []string{"a", "openid"}, []string{"files", "https://api.example.com"})
	save("web", nil, []string{"files", "Files"})
	save("Other", nil, nil)
	all, err := db.Consents(ctx, user)
	must(t, err)
	same(t, "clients", []any{all[0].Client, all[1].Client}, []any{"Other", "web"})
	same(t, "scopes", []any{all[0].Scopes, all[1].Scopes}, []any{[]string{}, []string{"B", "a", "b", "openid"}})
	same(t, "audiences", []any{len(all[0].Audiences), all[1].Audiences}, []any{0, []string{"Files", "files", "https://api.example.com"}})
	g := makeGrant(t, db, newCode(user))
	cursor := position(t, ctx, db)
	for range 2 { // the second time there is nothing to withdraw
		must(t, db.WithdrawConsent(ctx, actor, user, "web"))
	}
	wantDenied(t, db, since(t, ctx, db, cursor, 1)[0], actor, g.ID)
	all, err = db.Consents(ctx, user)
	must(t, err)
	same(t, "consents left", len(all), 1)
	newest(t, ctx, db, "consent.withdraw", "consent "+user.String()+" web")
}

func logoutsClaimed(t *testing.T, db Store) {
	ctx := testContext(t)
	due, later := newLogout(newID()), newLogout(newID())
	later.Next = now().Add(time.Hour)
	must(t, db.QueueLogouts(ctx, []store.Logout{due, later}))
	claim := func(lease time.Duration, attempts ...int) {
		t.Helper()
		all, err := db.ClaimLogouts(ctx, 10, lease)
		must(t, err)
		var got []int
		for _, l := range all {
			got = append(got, l.Attempts)
			l.Attempts, l.Next = 0, due.Next
			same(t, "logout", l, due)
		}
		same(t, "attempts of those claimed", got, attempts)
	}
	claim(-time.Minute, 0) // a lease that is over
	claim(time.Hour, 0)
	claim(time.Hour)
	must(t, db.RetryLogout(ctx, due.ID, now().Add(-time.Hour)))
	claim(time.Hour, 1)
	must(t, db.RetryLogout(ctx, due.ID, now().Add(-time.Hour)))
	must(t, db.FinishLogout(ctx, due.ID))
	must(t, db.FinishLogout(ctx, due.ID)) // by another
	claim(time.Hour)
}

func logoutsRace(t *testing.T, db Store) {
	var all []store.Logout
	for range 40 {
		all = append(all, newLogout(newID()))
	}
	must(t, db.QueueLogouts(testContext(t), all))
	claimed := make([]int, 16)
	race(len(claimed), func(i int) {
		got, err := db.ClaimLogouts(testContext(t), 3, time.Hour)
		if err != nil {
			t.Errorf("claim: %v", err)
		}
		claimed[i] = len(got)
	})
	sum := 0
	for _, n := range claimed {
		sum += n
	}
	rest, err := db.ClaimLogouts(testContext(t), 100, time.Hour)
	must(t, err)
	same(t, "claimed in all", sum+len(rest), len(all))
}
