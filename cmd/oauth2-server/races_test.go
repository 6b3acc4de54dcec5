package main

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

// What must hold when many replicas are asked the same at once. Each test is of one site: people sign in there once.

const many = 64

// atOnce has many requests start together, spread over replicas, and returns the answers.
func atOnce(replicas []*replica, do func(r *replica) answer) []answer {
	answers := make([]answer, many)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range answers {
		done.Go(func() {
			start.Wait()
			answers[i] = do(replicas[i%len(replicas)])
		})
	}
	start.Done()
	done.Wait()
	return answers
}

// successes are the answers with tokens; every other one must be an invalid_grant (P5: no fault is one).
func successes(t *testing.T, answers []answer) (won []answer) {
	t.Helper()
	for _, a := range answers {
		switch {
		case a.status == http.StatusOK && a.text("access_token") != "":
			won = append(won, a)
		case !a.isGrantRefused():
			t.Errorf("got %s, want success or invalid_grant", a)
		}
	}
	return won
}

func TestPeopleOnThreeReplicas(t *testing.T) {
	s := newSite(t, 3)
	as := s.register(store.Client{ID: "web"})
	other := s.register(store.Client{ID: "other"})
	anna := s.newPerson("anna")
	strict := s.withoutGrace()
	for name, f := range map[string]func(*testing.T){
		"a code is redeemed once":                            func(t *testing.T) { codeOnce(t, s, as, anna.in(t)) },
		"a code used twice kills what it gave":               func(t *testing.T) { codeReplayed(t, s, as, anna.in(t)) },
		"an invalid use of a code changes nothing":           func(t *testing.T) { codeMisused(t, s, as, other, anna.in(t)) },
		"a refresh token has one successor":                  func(t *testing.T) { refreshTogether(t, s, as, anna.in(t)) },
		"without grace one refresh succeeds":                 func(t *testing.T) { refreshOnce(t, s, as, strict, anna.in(t)) },
		"an older generation kills the family":               func(t *testing.T) { refreshOlder(t, s, as, other, anna.in(t)) },
		"nothing survives a revocation raced with a refresh": func(t *testing.T) { revokeRaced(t, s, as, anna.in(t)) },
		"a pushed request has one answer":                    func(t *testing.T) { pushedOnce(t, s, as, anna.in(t)) },
		"nothing passes for another kind":                    func(t *testing.T) { kindsApart(t, s, as, anna.in(t)) },
		"what a user takes back on the profile is dead":      func(t *testing.T) { takenBack(t, s, as) },
		"what a disabled user has allowed is dead":           func(t *testing.T) { userDisabled(t, s, as) },
	} {
		t.Run(name, func(t *testing.T) { f(t) })
	}
	// The last: keys change under everybody.
	t.Run("a retry within grace holds across a rotation of keys", func(t *testing.T) { graceAcrossKeys(t, s, as, anna.in(t)) })
}

// withoutGrace is three more replicas, on the same store, with OAUTH2_REFRESH_GRACE=0.
func (s *site) withoutGrace() (strict []*replica) {
	s.t.Helper()
	for range 3 {
		strict = append(strict, startReplica(s.t, append(s.env, "OAUTH2_REFRESH_GRACE=0")))
	}
	for _, r := range strict {
		r.awaitReady()
	}
	return strict
}

// P3, RFC 6749 §4.1.2.
func codeOnce(t *testing.T, s *site, as identity, anna *person) {
	for range 4 {
		f := s.newFlow(as, "openid offline_access")
		form := f.tokenForm(f.code(anna))
		won := successes(t, atOnce(s.replicas, func(r *replica) answer { return r.post("/oauth/token", as, form) }))
		if len(won) != 1 {
			t.Fatalf("%d of %d redemptions of one code succeeded, want one", len(won), many)
		}
		// The others were valid second uses, so what the first got is dead (RFC 6749 §4.1.2, RFC 9700 §4.5).
		s.untilDead(t, as, won[0].text("access_token"))
		if a := s.front.refresh(as, won[0].text("refresh_token")); !a.isGrantRefused() {
			t.Errorf("refresh after the code was used twice: %s", a)
		}
	}
}

// RFC 6749 §4.1.2: "and SHOULD revoke … all tokens previously issued based on that authorization code".
func codeReplayed(t *testing.T, s *site, as identity, anna *person) {
	f := s.newFlow(as, "openid offline_access")
	code := f.code(anna)
	first := f.redeem(code)
	fresh := s.front.refresh(as, first.text("refresh_token"))
	if first.status != http.StatusOK || fresh.status != http.StatusOK {
		t.Fatalf("redeem: %s; refresh: %s", first, fresh)
	}
	if a := f.redeem(code); !a.isGrantRefused() {
		t.Errorf("the second use: %s", a)
	}
	for _, token := range []string{first.text("access_token"), fresh.text("access_token"), fresh.text("refresh_token")} {
		s.untilDead(t, as, token)
	}
}

// OAuth 2.1 §4.1.3: only who could have redeemed the code may kill what came of it. HAZARDS: each binding refuses alone.
func codeMisused(t *testing.T, s *site, as, other identity, anna *person) {
	f := s.newFlow(as, "openid")
	code := f.code(anna)
	misuses := func() {
		t.Helper()
		for what, change := range map[string]func(url.Values){
			"verifier":     func(form url.Values) { form.Set("code_verifier", randomText()) },
			"no verifier":  func(form url.Values) { form.Del("code_verifier") },
			"redirect_uri": func(form url.Values) { form.Set("redirect_uri", callback+"/") },
			"code":         func(form url.Values) { form.Set("code", code[:len(code)-1]+"A") },
		} {
			form := f.tokenForm(code)
			change(form)
			if a := s.front.post("/oauth/token", as, form); a.status != http.StatusBadRequest || a.text("access_token") != "" {
				t.Errorf("with a wrong %s: %s", what, a)
			}
		}
		if a := s.front.post("/oauth/token", other, f.tokenForm(code)); !a.isGrantRefused() {
			t.Errorf("by another client: %s", a)
		}
	}
	misuses()
	a := f.redeem(code)
	if a.status != http.StatusOK {
		t.Fatalf("a code that was misused before: %s", a)
	}
	misuses()
	s.settle(as, anna)
	for _, r := range s.replicas {
		if !r.isActive(as, a.text("access_token")) {
			t.Error("a misuse of the code killed what it gave")
		}
	}
}

// settle returns when every replica has applied what was acknowledged before: changes come in order, so a revocation now comes last.
func (s *site) settle(as identity, anna *person) {
	anna.t.Helper()
	token := s.newFlow(as, "openid").tokens(anna).text("access_token")
	if a := s.front.revoke(as, token); a.status != http.StatusOK {
		anna.t.Fatalf("revoke: %s", a)
	}
	s.untilDead(anna.t, as, token)
}

// P4: all who retry within grace get the same successor, each with an access token of its own.
func refreshTogether(t *testing.T, s *site, as identity, anna *person) {
	token := s.newFlow(as, "openid offline_access").tokens(anna).text("refresh_token")
	for range 4 {
		won := successes(t, atOnce(s.replicas, func(r *replica) answer { return r.refresh(as, token) }))
		successors, access := map[string]bool{}, map[string]bool{}
		for _, a := range won {
			successors[a.text("refresh_token")], access[a.text("access_token")] = true, true
		}
		if len(won) != many || len(successors) != 1 || len(access) != many || successors[token] {
			t.Fatalf("%d of %d succeeded, with %d successors and %d access tokens; want %d, 1, %d", len(won), many, len(successors), len(access), many, many)
		}
		token = won[0].text("refresh_token")
	}
}

// P4 with OAUTH2_REFRESH_GRACE=0: Keycloak's CVE-2026-1035 was several.
func refreshOnce(t *testing.T, s *site, as identity, strict []*replica, anna *person) {
	token := s.newFlow(as, "openid offline_access").tokens(anna).text("refresh_token")
	won := successes(t, atOnce(strict, func(r *replica) answer { return r.refresh(as, token) }))
	if len(won) != 1 {
		t.Fatalf("%d of %d refreshes succeeded, want one", len(won), many)
	}
	// The others were a reuse: the family is dead (RFC 9700 §4.14.2).
	s.untilDead(t, as, won[0].text("access_token"))
	if a := strict[0].refresh(as, won[0].text("refresh_token")); !a.isGrantRefused() {
		t.Errorf("the successor after a reuse: %s", a)
	}
}

// RFC 9700 §4.14.2. Only the parent may be repeated, however young its ancestors are; and nobody else's client can kill a family.
func refreshOlder(t *testing.T, s *site, as, other identity, anna *person) {
	first := s.newFlow(as, "openid offline_access").tokens(anna).text("refresh_token")
	second := s.front.refresh(as, first).text("refresh_token")
	third := s.front.refresh(as, second)
	if third.status != http.StatusOK {
		t.Fatalf("refresh: %s", third)
	}
	for _, token := range []string{first, second, third.text("refresh_token")} {
		if a := s.front.refresh(other, token); !a.isGrantRefused() {
			t.Errorf("refresh by another client: %s", a)
		}
	}
	if a := s.front.refresh(as, second); a.text("refresh_token") != third.text("refresh_token") {
		t.Errorf("the parent within grace: %s, want the same successor", a)
	}
	if a := s.front.refresh(as, first); !a.isGrantRefused() {
		t.Errorf("the grandparent: %s", a)
	}
	s.untilDead(t, as, third.text("access_token"))
	if a := s.front.refresh(as, third.text("refresh_token")); !a.isGrantRefused() {
		t.Errorf("the newest, after the grandparent: %s", a)
	}
}

// RFC 7009 §2.1: what is made while the grant is revoked is dead too, whoever was first.
func revokeRaced(t *testing.T, s *site, as identity, anna *person) {
	for range 4 {
		token := s.newFlow(as, "openid offline_access").tokens(anna).text("refresh_token")
		var once sync.Once
		var revoked answer
		won := successes(t, atOnce(s.replicas, func(r *replica) answer {
			a := r.refresh(as, token)
			once.Do(func() { revoked = r.revoke(as, token) })
			return a
		}))
		if revoked.status != http.StatusOK {
			t.Fatalf("revoke: %s", revoked)
		}
		for _, a := range won {
			s.untilDead(t, as, a.text("access_token"))
			if a := s.front.refresh(as, a.text("refresh_token")); !a.isGrantRefused() {
				t.Errorf("a refresh token survives its grant's revocation: %s", a)
			}
		}
	}
}

// RFC 9126 §4: of many presses of both buttons, on any replicas, one counts.
func pushedOnce(t *testing.T, s *site, as identity, anna *person) {
	s.newFlow(as, "openid").code(anna) // signs in
	cookie := anna.session()
	for _, decisions := range [][]string{{"deny"}, {"deny", "allow"}} {
		par := s.front.post("/oauth/par", as, s.newFlow(as, "openid", "prompt", "consent").params)
		sealed := s.carried(url.Values{"client_id": {as.id}, "request_uri": {par.text("request_uri")}}, cookie)
		var presses []plea
		for i := range many {
			presses = append(presses, plea{method: http.MethodPost, path: "/auth/consent", cookie: cookie, form: url.Values{
				"request": {sealed}, "decision": {decisions[i%len(decisions)]},
			}})
		}
		counted := 0
		for _, a := range s.answers(presses) {
			switch {
			case a.status == http.StatusSeeOther && strings.HasPrefix(a.header.Get("Location"), callback+"?"):
				counted++
			case a.status != http.StatusBadRequest:
				t.Errorf("%v: got %s, want an answer to the client or 400", decisions, a)
			}
		}
		if counted != 1 {
			t.Errorf("%v: %d of %d presses were answered to the client, want one", decisions, counted, many)
		}
	}
}

// Keycloak's CVE-2026-4282: a code, a refresh token, an access token, a PAR reference and a session in each other's place.
func kindsApart(t *testing.T, s *site, as identity, anna *person) {
	f := s.newFlow(as, "openid offline_access")
	unused := f.code(anna)
	tokens := s.newFlow(as, "openid offline_access").tokens(anna)
	pushed := s.front.post("/oauth/par", as, s.newFlow(as, "openid").params)
	home, err := url.Parse(s.issuer)
	if err != nil || pushed.status != http.StatusCreated {
		t.Fatalf("par: %s %v", pushed, err)
	}
	reference := pushed.text("request_uri")
	const urn = "urn:ietf:params:oauth:request_uri:"
	things := map[string]string{
		"code": unused, "refresh": tokens.text("refresh_token"), "access": tokens.text("access_token"), "id_token": tokens.text("id_token"),
		"par": strings.TrimPrefix(reference, urn), "session": anna.browser.Jar.Cookies(home)[0].Value,
	}
	prefixes := map[string]string{"code": "oac_", "refresh": "ort_", "access": "oat_", "par": "oar_"}
	try := func(place, kind, text string) {
		var a answer
		switch place {
		case "code":
			form := f.tokenForm(text)
			a = s.front.post("/oauth/token", as, form)
		case "refresh":
			a = s.front.refresh(as, text)
		case "access":
			a = s.front.getAs("/oauth/userinfo", "Bearer "+text)
		case "par":
			w := anna.walk(s.issuer + "/oauth/authorize?" + url.Values{"client_id": {as.id}, "request_uri": {urn + text}}.Encode())
			if w.sent != nil {
				t.Errorf("a %s as request_uri sends the browser to %s", kind, w.sent)
			}
			return
		case "session":
			b := anna.in(t)
			b.browser.Jar.SetCookies(home, []*http.Cookie{{Name: "oauth2-session", Value: text, Path: "/"}})
			if w := b.walk(s.issuer + "/profile"); !w.signedIn() {
				t.Errorf("a %s as cookie is a session", kind)
			}
			return
		}
		if a.status != http.StatusBadRequest && a.status != http.StatusUnauthorized {
			t.Errorf("a %s as %s: %s", kind, place, a)
		}
	}
	for kind, text := range things {
		for place := range things {
			if place == kind || place == "id_token" {
				continue
			}
			try(place, kind, text)
			if own, worn := prefixes[kind], prefixes[place]; own != "" && worn != "" {
				try(place, kind, worn+strings.TrimPrefix(text, own)) // the kind is under the MAC
			}
		}
	}
	if a := f.redeem(unused); a.status != http.StatusOK {
		t.Errorf("the code after all that: %s", a)
	}
}

// ASVS 10.4.9: the pages show every grant, and end it; the client has to ask again.
func takenBack(t *testing.T, s *site, as identity) {
	ben := s.newPerson("ben").in(t)
	tokens := s.newFlow(as, "openid offline_access").tokens(ben)
	ben.walk(s.issuer + "/profile")
	if w := ben.press("/profile/revoke"); w.page.status != http.StatusOK {
		t.Errorf("revoke on the profile: %s", w.page)
	}
	s.wantDead(t, as, tokens)
	if w := ben.walk(s.newFlow(as, "openid offline_access").url()); w.signedIn() || !w.asked() {
		t.Errorf("afterwards the user is asked for %v, want consent", w.seen)
	}
}

// wantDead: neither token of the answer is good any more, on any replica.
func (s *site) wantDead(t *testing.T, as identity, tokens answer) {
	t.Helper()
	s.untilDead(t, as, tokens.text("access_token"))
	for _, r := range s.replicas {
		if a := r.refresh(as, tokens.text("refresh_token")); !a.isGrantRefused() {
			t.Errorf("refresh: %s", a)
		}
	}
}

// Pocket ID's CVE-2026-43983: a refresh token went on working for who was disabled.
func userDisabled(t *testing.T, s *site, as identity) {
	eve := s.newPerson("eve").in(t)
	tokens := s.newFlow(as, "openid offline_access").tokens(eve)
	f := s.newFlow(as, "openid")
	code := f.code(eve)
	id, err := store.ParseID(eve.id)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.db.ChangeUser(t.Context(), rotator, "user.disable", id, func(old *store.User) (*store.User, error) {
		disabled := *old
		disabled.Disabled = true
		return &disabled, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.wantDead(t, as, tokens)
	if a := f.redeem(code); !a.isGrantRefused() { // Keycloak's CVE-2026-16103: not only at the beginning
		t.Errorf("redeem a code of before: %s", a)
	}
	if w := eve.walk(s.newFlow(as, "openid").url()); w.sent != nil || w.page.status != http.StatusUnauthorized {
		t.Errorf("the session goes on, or begins anew: %v", w.seen)
	}
}

// getAs is get with an Authorization header.
func (r *replica) getAs(path, authorization string) answer {
	request, err := http.NewRequest(http.MethodGet, r.url+path, nil)
	if err == nil {
		request.Header.Set("Authorization", authorization)
	}
	return send(request, err)
}

// P4: the successor is a function of the key that is kept in the row, so it is the same under another active key.
func graceAcrossKeys(t *testing.T, s *site, as identity, anna *person) {
	token := s.newFlow(as, "openid offline_access").tokens(anna).text("refresh_token")
	first := s.front.refresh(as, token)
	active, acknowledged := (&turns{s.cluster, time.Now()}).rotate(keys.Rotation{})
	for _, r := range s.replicas {
		made := r.untilRefreshedBy(active[store.UseMAC], as, token, acknowledged)
		if made.text("refresh_token") != first.text("refresh_token") {
			t.Errorf("the retry after the rotation: %s, want the successor of before", made)
		}
	}
	if a := s.front.refresh(as, first.text("refresh_token")); a.status != http.StatusOK || !a.madeWith(t, active[store.UseMAC]) {
		t.Errorf("the successor's own refresh: %s, want tokens of the new key", a)
	}
}

// untilRefreshedBy retries a refresh until its access token is made with the key: at most a second.
func (r *replica) untilRefreshedBy(key store.Key, as identity, token string, acknowledged time.Time) answer {
	r.t.Helper()
	for {
		asked := time.Now()
		a := r.refresh(as, token)
		if a.status != http.StatusOK {
			r.t.Fatalf("a retry within grace: %s", a)
		}
		if madeBy(r.t, key, a.text("access_token")) {
			return a
		}
		if asked.Sub(acknowledged) > time.Second {
			r.t.Fatalf("asked %v after the rotation was acknowledged: the old key still makes tokens", asked.Sub(acknowledged))
		}
	}
}

func (a answer) madeWith(t *testing.T, key store.Key) bool {
	return madeBy(t, key, a.text("access_token"))
}
