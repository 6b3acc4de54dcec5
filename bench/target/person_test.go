package target

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// house is a server with a door for people: codes are bound to their challenges and good once.
type house struct {
	mu      sync.Mutex
	signIns int
	codes   map[string]string // code → challenge
	made    int
}

const callback = "https://app.test/callback"

func newHouse(t *testing.T) (*house, *Target) {
	t.Helper()
	h, mux := &house{codes: map[string]string{}}, http.NewServeMux()
	mux.HandleFunc("GET "+authorizePath, h.authorize)
	mux.HandleFunc("POST "+signInPath, h.signIn)
	mux.HandleFunc("POST "+DefaultPaths.Token, h.token)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return h, &Target{URLs: []*url.URL{at, at}, Paths: DefaultPaths, Scope: "read"}
}

func (h *house) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if cookie, err := r.Cookie("session"); err != nil || cookie.Value != "anna" {
		http.Redirect(w, r, signInPath+"?request="+url.QueryEscape(r.URL.RawQuery), http.StatusSeeOther)
		return
	}
	h.answer(w, r, q)
}

func (h *house) signIn(w http.ResponseWriter, r *http.Request) {
	request, err := url.ParseQuery(r.FormValue("request"))
	if err != nil || r.FormValue("username") != "anna" || r.FormValue("password") != "p&ss w=rd" || r.Header.Get("Sec-Fetch-Site") != "same-origin" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	h.mu.Lock()
	h.signIns++
	h.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "session", Value: "anna"})
	h.answer(w, r, request)
}

func (h *house) answer(w http.ResponseWriter, r *http.Request, q url.Values) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made++
	code := fmt.Sprint("code ", h.made)
	h.codes[code] = q.Get("code_challenge")
	http.Redirect(w, r, q.Get("redirect_uri")+"?code="+url.QueryEscape(code), http.StatusSeeOther)
}

func (h *house) token(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	code := r.FormValue("code")
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if h.codes[code] != base64.RawURLEncoding.EncodeToString(sum[:]) || r.FormValue("redirect_uri") != callback {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_grant"}`)
		return
	}
	delete(h.codes, code)
	fmt.Fprintf(w, `{"access_token":"access %s","refresh_token":"refresh %[1]s"}`, code)
}

func TestGrantsAreMadeByCodesAndOneSignIn(t *testing.T) {
	h, target := newHouse(t)
	grants, err := target.NewGrants(t.Context(), App{awkward, callback}, Person{"anna", "p&ss w=rd"}, 50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Grant]bool{}
	for _, g := range grants {
		if g.Access == "" || g.Refresh == "" || seen[g] {
			t.Errorf("grant %+v is empty or there twice", g)
		}
		seen[g] = true
	}
	if h.signIns != 1 || len(h.codes) != 0 {
		t.Errorf("%d sign-ins, want one; %d codes were not redeemed", h.signIns, len(h.codes))
	}
}

func TestGrantsSayWhatKeepsThem(t *testing.T) {
	f := func(app App, p Person, want string) {
		t.Helper()
		_, target := newHouse(t)
		_, err := target.NewGrants(t.Context(), app, p, 3)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
		if err != nil && strings.Contains(err.Error(), p.Password) {
			t.Errorf("%v tells the password", err)
		}
	}
	f(App{awkward, callback}, Person{"anna", "wrong"}, "ask for a code: status 401")
	f(App{awkward, "https://other.test/"}, Person{"anna", "p&ss w=rd"}, `redeem a code: status 400 "invalid_grant"`)
}
