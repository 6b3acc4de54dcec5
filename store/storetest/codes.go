package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"oauth2-server/store"
)

func (s suite) codes(t *testing.T) {
	s.rule(t, "RedeemedWithItsGrant", codesRedeemed)
	s.rule(t, "WrongRedemptionChangesNothing", codesWrong)
	s.rule(t, "ExpiredIsNotFound", codesExpired)
	s.rule(t, "SecondUseRevokesTheGrant_RFC6749_4_1_2", codesReused)
	s.rule(t, "WrongSecondUseRevokesNothing", codesReusedWrong)
	s.rule(t, "OneOfManyRedemptions", codesRace)
	s.rule(t, "RevokedBeforeRedemptionIsNotFound", codesRevoked)
	s.rule(t, "OtherCodesOutliveARevocation", codesNotRevoked)
	s.rule(t, "NothingIsRedeemedAfterARevocation", codesRevokeRace)
	s.rule(t, "PushedRequestIsSpentOnce_RFC9126_4", pushedOnce)
	s.rule(t, "OneOfManyCodesOfAPushedRequest", pushedRace)
	s.rule(t, "DeniedPushedRequestIsSpent", pushedDenied)
	s.rule(t, "ExpiredPushedRequestIsSpent", pushedExpired)
	s.rule(t, "JTIIsAcceptedOnce_RFC7523_3", jtiOnce)
	s.rule(t, "OneOfManyUsesOfAJTI", jtiRace)
	s.rule(t, "MaintainKeepsWhatIsNeeded", codesMaintain)
}

// newCode is a code of the client web for a user, with something in every field.
func newCode(user store.ID) store.Code {
	return store.Code{
		ID: newID(), Expires: inHours(1), Client: "web", Redirect: "https://web.example/cb?a=b", Nonce: "größe", Challenge: sha256.Sum256([]byte("verifier")),
		Grant: store.Grant{
			ID: newID(), Client: "web", Subject: user.String(), Scope: "openid a", Audience: "https://api.example", Session: newID(), AuthTime: 1_700_000_000,
			ACR: "pwd", Offline: true, Refresh: true, Position: 17, Key: 200, Expires: time.Unix(inHours(24), 0).UTC(),
		},
	}
}

func redemption(c store.Code) store.Redemption {
	return store.Redemption{Code: c.ID, Client: c.Client, Redirect: c.Redirect, Challenge: c.Challenge}
}

func putCode(t testing.TB, db Store, code store.Code) store.Code {
	t.Helper()
	must(t, db.PutCode(testContext(t), code, store.ID{}))
	return code
}

// wantReused checks that an error is store.ErrReused, which is an ErrSpent.
func wantReused(t testing.TB, err error) {
	t.Helper()
	wantError(t, "a second use", err, store.ErrSpent)
	if !errors.Is(err, store.ErrReused) {
		t.Errorf("a second use: got %v, want %v", err, store.ErrReused)
	}
}

func codesRedeemed(t *testing.T, db Store) {
	ctx := testContext(t)
	code := putCode(t, db, newCode(newID()))
	_, err := db.Grant(ctx, code.Grant.ID)
	wantError(t, "the grant of a code that is not redeemed", err, store.ErrNotFound)
	cursor := position(t, ctx, db)
	got, err := db.RedeemCode(ctx, redemption(code))
	must(t, err)
	g := got.Grant
	if d := now().Sub(g.Created); d > time.Hour || d < -time.Hour || !g.Rotated.Equal(g.Created) || !g.Used.Equal(g.Created.Truncate(time.Minute)) {
		t.Errorf("created %v, rotated %v, used %v", g.Created, g.Rotated, g.Used)
	}
	want := code
	want.Grant.Generation, want.Grant.Created, want.Grant.Rotated, want.Grant.Used = 1, g.Created, g.Rotated, g.Used
	same(t, "code redeemed", got, want)
	stored, err := db.Grant(ctx, code.Grant.ID)
	must(t, err)
	same(t, "its grant", stored, want.Grant)
	since(t, ctx, db, cursor, 0)
}

// wrongs are redemptions that are not what the code has.
func wrongs(code store.Code) map[string]store.Redemption {
	all := map[string]store.Redemption{}
	for name, change := range map[string]func(*store.Redemption){
		"code":      func(r *store.Redemption) { r.Code = newID() },
		"client":    func(r *store.Redemption) { r.Client = "other" },
		"redirect":  func(r *store.Redemption) { r.Redirect += "/" },
		"no uri":    func(r *store.Redemption) { r.Redirect = "" },
		"challenge": func(r *store.Redemption) { r.Challenge[31] ^= 1 },
	} {
		r := redemption(code)
		change(&r)
		all[name] = r
	}
	return all
}

func codesWrong(t *testing.T, db Store) {
	code := putCode(t, db, newCode(newID()))
	for name, r := range wrongs(code) {
		_, err := db.RedeemCode(testContext(t), r)
		wantError(t, "wrong "+name, err, store.ErrNotFound)
	}
	_, err := db.RedeemCode(testContext(t), redemption(code))
	must(t, err)
}

func codesExpired(t *testing.T, db Store) {
	code := newCode(newID())
	code.Expires = inHours(-1) + 600 // kept by Maintain, as spent ones are
	putCode(t, db, code)
	_, err := db.RedeemCode(testContext(t), redemption(code))
	wantError(t, "an expired code", err, store.ErrNotFound)
	_, err = db.Grant(testContext(t), code.Grant.ID)
	wantError(t, "its grant", err, store.ErrNotFound)
}

func codesReused(t *testing.T, db Store) {
	ctx := testContext(t)
	grant := makeGrant(t, db, newCode(newID()))
	code := putCode(t, db, newCode(newID()))
	_, err := db.RedeemCode(ctx, redemption(code))
	must(t, err)
	cursor := position(t, ctx, db)
	for range 2 { // the third use finds it dead
		_, err = db.RedeemCode(ctx, redemption(code))
		wantReused(t, err)
	}
	change := since(t, ctx, db, cursor, 1)[0]
	wantDenied(t, db, change, store.CodeReuse("web"), code.Grant.ID)
	same(t, "object of the audit", audits(t, ctx, db, 1)[0].Object, "grant "+code.Grant.ID.String())
	wantGrant(t, db, grant)
}

func codesReusedWrong(t *testing.T, db Store) {
	ctx := testContext(t)
	code := putCode(t, db, newCode(newID()))
	made, err := db.RedeemCode(ctx, redemption(code))
	must(t, err)
	cursor := position(t, ctx, db)
	for name, r := range wrongs(code) {
		_, err := db.RedeemCode(ctx, r)
		wantError(t, "second use with wrong "+name, err, store.ErrNotFound)
	}
	since(t, ctx, db, cursor, 0)
	wantGrant(t, db, made.Grant)
}

func codesRace(t *testing.T, db Store) {
	code := putCode(t, db, newCode(newID()))
	won := make([]bool, 64)
	race(len(won), func(i int) {
		_, err := db.RedeemCode(testContext(t), redemption(code))
		won[i] = err == nil
		if err != nil {
			wantReused(t, err)
		}
	})
	same(t, "successes", count(won), 1)
	g, err := db.Grant(testContext(t), code.Grant.ID)
	must(t, err)
	same(t, "the grant is revoked", g.Revoked, true)
}

// revocations are the ways in which what a code would be worth is revoked.
func revocations(ctx context.Context, db Store, code store.Code, user store.ID) map[string]func() error {
	revoke := func(query store.GrantQuery) func() error {
		return func() error { _, err := db.RevokeGrants(ctx, actor, query); return err }
	}
	deny := func(kind store.DenyKind, id store.ID) func() error {
		return func() error {
			return db.Deny(ctx, []store.Denial{{Kind: kind, ID: id, Expires: inHours(1), Actor: actor.String()}})
		}
	}
	return map[string]func() error{
		"subject":       revoke(store.GrantQuery{Subject: user.String()}),
		"client":        revoke(store.GrantQuery{Client: "web"}),
		"session":       revoke(store.GrantQuery{Session: code.Grant.Session}),
		"id":            revoke(store.GrantQuery{ID: code.Grant.ID}),
		"consent":       func() error { return db.WithdrawConsent(ctx, actor, user, "web") },
		"denial":        deny(store.DenyGrant, code.Grant.ID),
		"session ended": deny(store.DenySession, code.Grant.Session),
		"client gone":   func() error { return db.DeleteClient(ctx, actor, "web", nil) },
		"user gone": func() error {
			_, err := db.ChangeUser(ctx, actor, "user.delete", user, func(*store.User) (*store.User, error) { return nil, nil })
			return err
		},
	}
}

func codesRevoked(t *testing.T, db Store) {
	ctx := testContext(t)
	for way := range revocations(ctx, db, store.Code{}, store.ID{}) {
		if _, err := db.Client(ctx, "web"); err != nil {
			create(t, db, "web")
		}
		user := makeUser(t, db, "of "+way).ID
		code := newCode(user)
		code.Grant.Offline = false
		putCode(t, db, code)
		must(t, revocations(ctx, db, code, user)[way]())
		for range 2 { // neither is the second a reuse
			_, err := db.RedeemCode(ctx, redemption(code))
			wantError(t, way, err, store.ErrNotFound)
		}
		_, err := db.Grant(ctx, code.Grant.ID)
		wantError(t, way+": its grant", err, store.ErrNotFound)
	}
}

func codesNotRevoked(t *testing.T, db Store) {
	ctx := testContext(t)
	create(t, db, "web")
	for _, way := range []string{"subject", "id", "consent", "denial", "user gone"} {
		user := makeUser(t, db, "of "+way).ID
		code, other := newCode(user), putCode(t, db, newCode(newID()))
		must(t, revocations(ctx, db, code, user)[way]())
		_, err := db.RedeemCode(ctx, redemption(other))
		must(t, err)
	}
	for _, way := range []string{"session", "session ended"} {
		code := putCode(t, db, newCode(newID())) // offline
		must(t, revocations(ctx, db, code, store.ID{})[way]())
		_, err := db.RedeemCode(ctx, redemption(code))
		must(t, err)
	}
}

func codesRevokeRace(t *testing.T, db Store) {
	user := newID()
	codes := make([]store.Code, 32)
	for i := range codes {
		codes[i] = putCode(t, db, newCode(user))
	}
	race(len(codes)+1, func(i int) {
		if i == len(codes) {
			if _, err := db.RevokeGrants(testContext(t), actor, store.GrantQuery{Subject: user.String()}); err != nil {
				t.Errorf("revoke: %v", err)
			}
			return
		}
		if _, err := db.RedeemCode(testContext(t), redemption(codes[i])); err != nil {
			wantError(t, "a code that was revoked", err, store.ErrNotFound)
		}
	})
	living, err := db.Grants(testContext(t), store.GrantQuery{Subject: user.String(), Live: true, Limit: 100})
	must(t, err)
	same(t, "grants that live", len(living), 0)
}

func putPushed(t testing.TB, db Store, expires int64) store.Pushed {
	t.Helper()
	pushed := store.Pushed{ID: newID(), Client: "web", Params: "a=b&c=%C3%B6", Expires: expires}
	must(t, db.PutPushed(testContext(t), pushed))
	return pushed
}

func pushedOnce(t *testing.T, db Store) {
	ctx := testContext(t)
	pushed := putPushed(t, db, inHours(1))
	for range 2 { // the page may be opened twice
		got, err := db.Pushed(ctx, pushed.ID)
		must(t, err)
		same(t, "pushed request", got, pushed)
	}
	foreign := newCode(newID())
	foreign.Client = "other"
	wantError(t, "a code of another client", db.PutCode(ctx, foreign, pushed.ID), store.ErrSpent)
	code := newCode(newID())
	must(t, db.PutCode(ctx, code, pushed.ID))
	_, err := db.Pushed(ctx, pushed.ID)
	wantError(t, "a spent request", err, store.ErrNotFound)
	late := newCode(newID())
	wantError(t, "a second code", db.PutCode(ctx, late, pushed.ID), store.ErrSpent)
	_, err = db.RedeemCode(ctx, redemption(late))
	wantError(t, "the code that was refused", err, store.ErrNotFound)
	_, err = db.RedeemCode(ctx, redemption(code))
	must(t, err)
}

func pushedDenied(t *testing.T, db Store) {
	ctx := testContext(t)
	pushed := putPushed(t, db, inHours(1))
	must(t, db.SpendPushed(ctx, pushed.ID))
	_, err := db.Pushed(ctx, pushed.ID)
	wantError(t, "a spent request", err, store.ErrNotFound)
	wantError(t, "spent twice", db.SpendPushed(ctx, pushed.ID), store.ErrSpent)
	wantError(t, "a code of it", db.PutCode(ctx, newCode(newID()), pushed.ID), store.ErrSpent)
	wantError(t, "an expired request", db.SpendPushed(ctx, putPushed(t, db, inHours(-1)).ID), store.ErrSpent)
}

func pushedRace(t *testing.T, db Store) {
	pushed := putPushed(t, db, inHours(1))
	wantOne(t, 32, func(ctx context.Context) error { return db.PutCode(ctx, newCode(newID()), pushed.ID) })
}

// wantOne checks that one of n calls at once succeeds, and the others are store.ErrSpent.
func wantOne(t *testing.T, n int, call func(context.Context) error) {
	t.Helper()
	won := make([]bool, n)
	race(n, func(i int) {
		err := call(testContext(t))
		won[i] = err == nil
		if err != nil {
			wantError(t, "another was first", err, store.ErrSpent)
		}
	})
	same(t, "successes", count(won), 1)
}

func pushedExpired(t *testing.T, db Store) {
	pushed := putPushed(t, db, inHours(-1))
	_, err := db.Pushed(testContext(t), pushed.ID)
	wantError(t, "an expired request", err, store.ErrNotFound)
	wantError(t, "its code", db.PutCode(testContext(t), newCode(newID()), pushed.ID), store.ErrSpent)
}

func jtiOnce(t *testing.T, db Store) {
	ctx := testContext(t)
	must(t, db.SpendJTI(ctx, "web", "\x00 any", inHours(1)))
	wantError(t, "again", db.SpendJTI(ctx, "web", "\x00 any", inHours(2)), store.ErrSpent)
	must(t, db.SpendJTI(ctx, "other", "\x00 any", inHours(1)))
	must(t, db.SpendJTI(ctx, "web", "other", inHours(-1)))
	must(t, db.SpendJTI(ctx, "web", "other", inHours(1))) // what was there has expired
	wantError(t, "again", db.SpendJTI(ctx, "web", "other", inHours(1)), store.ErrSpent)
}

func jtiRace(t *testing.T, db Store) {
	wantOne(t, 64, func(ctx context.Context) error { return db.SpendJTI(ctx, "web", "one", inHours(1)) })
}

func codesMaintain(t *testing.T, db Store) {
	ctx := testContext(t)
	create(t, db, "web")
	code := putCode(t, db, newCode(newID()))
	pushed := putPushed(t, db, inHours(1))
	must(t, db.SpendJTI(ctx, "web", "one", inHours(1)))
	g := makeGrant(t, db, newCode(newID()))
	must(t, db.Maintain(ctx))
	_, err := db.Pushed(ctx, pushed.ID)
	must(t, err)
	wantError(t, "a jti after Maintain", db.SpendJTI(ctx, "web", "one", inHours(1)), store.ErrSpent)
	wantGrant(t, db, g)
	_, err = db.RedeemCode(ctx, redemption(code))
	must(t, err)
	must(t, db.Maintain(ctx))
	_, err = db.RedeemCode(ctx, redemption(code))
	wantReused(t, err)
}
