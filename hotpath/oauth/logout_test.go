package oauth

import (
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

// scene is a user who is signed in, and an id_token of that session for the client web.
type scene struct {
	*people
	rules   *Rules
	browser Presence
	hint    string
	asked   LogoutRequest // good in all
}

func newScene(t testing.TB) *scene {
	t.Helper()
	p, rules := newPeople(t)
	s := &scene{people: p, rules: rules}
	s.browser = Presence{User: p.user.ID, Session: store.NewID(time.Now()), Actor: store.Actor{Kind: "user", ID: "ann"}}
	g := p.grant("web", s.browser.Session)
	p.grants = append(p.grants, g)
	s.hint = idTokenOf(t, rules, p.clients["web"], g, "")
	s.asked = LogoutRequest{Hint: s.hint, Client: "web", Redirect: "https://web.example.com/bye", State: "a b&c"}
	return s
}

// logout asks, and reports where the browser goes and which sessions ended.
func (s *scene) logout(t testing.TB, q LogoutRequest, browser Presence) (Farewell, []store.ID) {
	t.Helper()
	s.denied, s.revoked, s.queued, s.done = nil, nil, nil, nil
	farewell, err := s.rules.Logout(t.Context(), &q, browser)
	if err != nil {
		t.Fatal(err)
	}
	var ended []store.ID
	for i, d := range s.denied {
		if d.Kind != store.DenySession || d.Expires < time.Now().Add(12*time.Hour).Unix()-1 || s.revoked[i].Session != d.ID {
			t.Errorf("denied %+v, revoked %+v", d, s.revoked[i])
		}
		ended = append(ended, d.ID)
	}
	return farewell, ended
}

func (s *scene) want(t testing.TB, q LogoutRequest, browser Presence, farewell Farewell, ended ...store.ID) {
	t.Helper()
	got, sessions := s.logout(t, q, browser)
	if got != farewell || !reflect.DeepEqual(sessions, ended) {
		t.Errorf("got %+v and the end of %v, want %+v and that of %v", got, sessions, farewell, ended)
	}
}

// The modules of the OpenID Foundation's plan for RP-Initiated Logout, as far as they are rules.

func Test_oidcc_rp_initiated_logout(t *testing.T) {
	s := newScene(t)
	s.want(t, s.asked, s.browser, Farewell{Redirect: "https://web.example.com/bye?state=a+b%26c"}, s.browser.Session)
	s.asked.Client = "" // RP-Initiated Logout §2: optional
	s.want(t, s.asked, s.browser, Farewell{Redirect: "https://web.example.com/bye?state=a+b%26c"}, s.browser.Session)
}

func Test_oidcc_rp_initiated_logout_no_state(t *testing.T) {
	s := newScene(t)
	s.asked.State = ""
	s.want(t, s.asked, s.browser, Farewell{Redirect: "https://web.example.com/bye"}, s.browser.Session)
}

func Test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(t *testing.T) {
	s := newScene(t)
	for _, uri := range []string{
		"https://evil.example.com/bye", "https://web.example.com/bye/", "https://web.example.com/Bye", "https://web.example.com/bye#x",
		"https://web.example.com", "//web.example.com/bye", "https://other.example.com/bye", "https://web.example.com/bye ", "javascript:alert(1)",
	} {
		s.asked.Redirect = uri
		s.want(t, s.asked, s.browser, Farewell{}, s.browser.Session)
	}
}

func Test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(t *testing.T) {
	s := newScene(t)
	s.asked.Redirect = "https://web.example.com/bye?c=d"
	s.want(t, s.asked, s.browser, Farewell{}, s.browser.Session)
	s.asked.Redirect = "https://web.example.com/bye?a=b" // registered with its query
	s.want(t, s.asked, s.browser, Farewell{Redirect: "https://web.example.com/bye?a=b&state=a+b%26c"}, s.browser.Session)
}

// forged is what the two modules with a bad hint send, and more.
func (s *scene) forged(t testing.TB) map[string]string {
	t.Helper()
	part := strings.Split(s.hint, ".")
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	claims, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		t.Fatal(err)
	}
	theirs, foreign := newPeople(t)
	theirs.user = s.user
	options := s.rules.Options
	options.Issuer = "https://another.example.com"
	other := New(options)
	g := s.grant("web", s.browser.Session)
	return map[string]string{
		"alg none":              encode(`{"alg":"none"}`) + "." + part[1] + ".",
		"alg none, signed":      encode(`{"alg":"none","typ":"JWT"}`) + "." + part[1] + "." + part[2],
		"no signature":          part[0] + "." + part[1] + ".",
		"two parts":             part[0] + "." + part[1],
		"foreign key":           idTokenOf(t, foreign, s.clients["web"], g, ""),
		"another issuer":        idTokenOf(t, other, s.clients["web"], g, ""),
		"other claims":          part[0] + "." + encode(strings.Replace(string(claims), `"web"`, `"other"`, 1)) + "." + part[2],
		"another alg's key":     encode(strings.Replace(mustDecode(t, part[0]), "RS256", "ES256", 1)) + "." + part[1] + "." + part[2],
		"a part more":           s.hint + ".x",
		"a dot more":            s.hint + ".",
		"a line end":            s.hint + "\n",
		"no JWT":                "hello",
		"longer than any token": strings.Repeat("x", 9000),
	}
}

func mustDecode(t testing.TB, text string) string {
	t.Helper()
	plain, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

// RP-Initiated Logout §4: who comes with a hint that is not ours, or with none, comes from anywhere: the user is asked, and nothing leads away from here.
func Test_oidcc_rp_initiated_logout_modified_and_bad_id_token_hint(t *testing.T) {
	s := newScene(t)
	for name, hint := range s.forged(t) {
		if _, _, _, ok := s.rules.hint(hint); ok {
			t.Errorf("%s: taken for ours", name)
		}
		q := s.asked
		q.Hint = hint
		s.want(t, q, s.browser, Farewell{Ask: true})
		s.want(t, q, Presence{}, Farewell{Idle: true})
		q.Confirmed = true
		s.want(t, q, s.browser, Farewell{}, s.browser.Session)
	}
}

func Test_oidcc_rp_initiated_logout_no_id_token_hint(t *testing.T) {
	s := newScene(t)
	s.asked.Hint = ""
	s.want(t, s.asked, s.browser, Farewell{Ask: true})
	s.asked.Confirmed = true
	s.want(t, s.asked, s.browser, Farewell{}, s.browser.Session)
}

func Test_oidcc_rp_initiated_logout_no_params(t *testing.T) {
	s := newScene(t)
	s.want(t, LogoutRequest{}, s.browser, Farewell{Ask: true})
	s.want(t, LogoutRequest{Confirmed: true}, s.browser, Farewell{}, s.browser.Session)
	s.want(t, LogoutRequest{}, Presence{}, Farewell{Idle: true})
}

func Test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(t *testing.T) {
	s := newScene(t)
	s.asked.Redirect, s.asked.State = "", ""
	s.want(t, s.asked, s.browser, Farewell{}, s.browser.Session)
}

func Test_oidcc_rp_initiated_logout_only_state(t *testing.T) {
	s := newScene(t)
	s.want(t, LogoutRequest{State: "x"}, s.browser, Farewell{Ask: true})
}

// Back-Channel Logout §2.4: the token that the client of the session gets, and no other client.
func Test_oidcc_backchannel_rp_initiated_logout(t *testing.T) {
	s := newScene(t)
	s.grants = append(s.grants, s.grant("other", s.browser.Session), s.grant("web", store.NewID(time.Now())), s.grant("web", s.browser.Session))
	s.logout(t, s.asked, s.browser)
	if len(s.queued) != 1 || s.queued[0].Client != "web" || s.queued[0].Session != s.browser.Session || s.queued[0].Subject != s.user.ID.String() {
		t.Fatalf("queued %+v, want one for the client that listens", s.queued)
	}
	if want := []string{"deny", "revoke", "queue"}; !reflect.DeepEqual(s.done, want) {
		t.Errorf("did %v, want %v: first nothing more can be done in the session, and who repeats it tells nobody twice", s.done, want)
	}
	seen := map[any]bool{}
	for range 2 {
		text, to, err := s.rules.LogoutToken(&s.queued[0])
		if err != nil || to != "https://web.example.com/backchannel" {
			t.Fatalf("to %q, %v", to, err)
		}
		got := claimsOf(t, s.rules, string(text), "RS256", "logout+jwt")
		if got["iss"] != issuerOfTests || got["aud"] != "web" || got["sub"] != s.user.ID.String() || got["sid"] != s.browser.Session.String() {
			t.Errorf("got %v", got)
		}
		events, _ := got["events"].(map[string]any)
		if event, ok := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any); !ok || len(event) != 0 || len(events) != 1 {
			t.Errorf("events %v, want the one with an empty object", got["events"])
		}
		if life := got["exp"].(float64) - got["iat"].(float64); life <= 0 || life > 120 {
			t.Errorf("lives %v s, want at most two minutes", life)
		}
		if _, ok := got["nonce"]; ok || len(got) != 8 {
			t.Errorf("got %v: a nonce is forbidden", got)
		}
		seen[got["jti"]] = true
	}
	if len(seen) != 2 {
		t.Error("a token that is sent again has the jti of the first")
	}
}

// Back-Channel Logout §2.5 asks for what signs the client's id_tokens.
func TestLogoutTokenHasTheAlgOfTheClient(t *testing.T) {
	p, rules := newPeople(t)
	for _, alg := range keys.IDTokenAlgs() {
		p.clients[string(alg)].BackchannelLogout = "https://client.example.com/"
		text, _, err := rules.LogoutToken(&store.Logout{Client: string(alg)})
		if err != nil {
			t.Fatal(err)
		}
		claimsOf(t, rules, string(text), string(alg), "logout+jwt")
	}
}

func TestNobodyIsToldWhoDoesNotWantToKnow(t *testing.T) {
	s := newScene(t)
	f := func(name string) {
		t.Helper()
		if text, to, err := s.rules.LogoutToken(&store.Logout{Client: "web"}); text != nil || to != "" || err != nil {
			t.Errorf("%s: got %s to %q, %v", name, text, to, err)
		}
		if s.logout(t, s.asked, s.browser); s.queued != nil {
			t.Errorf("%s: queued %+v", name, s.queued)
		}
	}
	s.clients["web"].Disabled = true
	f("disabled")
	s.clients["web"].Disabled, s.clients["web"].BackchannelLogout = false, ""
	f("no URI any more")
	delete(s.clients, "web")
	f("deleted")
}

// RP-Initiated Logout §2: "the OP MUST verify that the Client Identifier matches the one used when issuing the ID Token".
func TestClientIDMustAgreeWithTheHint(t *testing.T) {
	s := newScene(t)
	for _, id := range []string{"other", "nobody", "WEB"} {
		s.asked.Client = id
		s.want(t, s.asked, s.browser, Farewell{Ask: true})
	}
}

// RP-Initiated Logout §2: a hint of somebody else than who is there. Asked, the user leaves, and the other one does not.
func TestHintOfAnotherUserIsAsked(t *testing.T) {
	s := newScene(t)
	elsewhere := Presence{User: store.NewID(time.Now()), Session: store.NewID(time.Now())}
	to := "https://web.example.com/bye?state=a+b%26c"
	s.want(t, s.asked, elsewhere, Farewell{Ask: true, Redirect: to})
	s.asked.Confirmed = true
	s.want(t, s.asked, elsewhere, Farewell{Redirect: to}, elsewhere.Session)
}

// RP-Initiated Logout §2: the application may still have the id_token of a session before this one. The user is asked, and then both
// end. Where the browser sent no cookie, as it does not with a form of another site, the hint's ends, and no other.
func TestHintOfAnotherSessionOfTheUser(t *testing.T) {
	s := newScene(t)
	now := s.browser
	now.Session = store.NewID(time.Now())
	to := "https://web.example.com/bye?state=a+b%26c"
	s.want(t, s.asked, now, Farewell{Ask: true, Redirect: to})
	s.want(t, s.asked, Presence{}, Farewell{Redirect: to}, s.browser.Session)
	s.asked.Confirmed = true
	s.want(t, s.asked, now, Farewell{Redirect: to}, now.Session, s.browser.Session)
}

// RP-Initiated Logout §4: "the OP SHOULD accept ID Tokens … even when the exp time has passed".
func TestExpiredHintIsGood(t *testing.T) {
	s := newScene(t)
	g := s.grants[0]
	text, err := s.rules.idToken(nil, &g, idTokenInput{Client: s.clients["web"], Issued: 1000, Expires: 2000})
	if err != nil {
		t.Fatal(err)
	}
	if subject, session, client, ok := s.rules.hint(string(text)); !ok || subject != g.Subject || session != g.Session.String() || client != "web" {
		t.Errorf("got %q, %q, %q, %v", subject, session, client, ok)
	}
}

// What fails is told as a fault, and may be repeated (promise P5).
func TestLogoutThatIsNotCertainIsAFault(t *testing.T) {
	s := newScene(t)
	s.gone = store.ErrUnavailable
	if _, err := s.rules.Logout(t.Context(), &s.asked, s.browser); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

// A user with many grants: those of the session are found on every page of the list, and old ones are not read for ever.
func TestGrantsOfASessionAreFoundAmongMany(t *testing.T) {
	s := newScene(t)
	for range 3 * grantPage {
		s.grants = append(s.grants, s.grant("other", store.NewID(time.Now())))
	}
	s.logout(t, s.asked, s.browser)
	if len(s.queued) != 1 {
		t.Errorf("queued %d, want 1", len(s.queued))
	}
}

// FuzzHint: nothing that we did not sign is taken for ours, whatever it is.
func FuzzHint(f *testing.F) {
	s := newScene(f)
	f.Add(s.hint)
	f.Add("")
	f.Add("..")
	f.Add(s.hint + ".")
	f.Fuzz(func(t *testing.T, text string) {
		if _, _, _, ok := s.rules.hint(text); ok != (text == s.hint) {
			t.Errorf("%q: %v", text, ok)
		}
	})
}
