package scenario

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"oauth2-server/bench/stack"
	"oauth2-server/bench/target"
)

func ringOf(tokens ...string) *ring {
	r := &ring{}
	for _, token := range tokens {
		r.families = append(r.families, &family{newest: token, access: "access"})
	}
	return r
}

// A client that got no good answer asks again with the same token, and its family is not judged: it may have been answered.
func TestRefreshKeepsItsTurnUntilItIsAnswered(t *testing.T) {
	s, r := testStage(), ringOf("a", "b")
	s.Stack = new(stack.Stack)
	for _, status := range []int{429, 503} {
		if err := s.refresh(r, 0).Judge(status, nil); err == nil || errors.Is(err, errWrong) {
			t.Errorf("status %d is judged %v", status, err)
		}
		if r.next != 0 || len(known([]*ring{r})) != 1 {
			t.Errorf("after status %d it is the turn of %d, and %d families are known", status, r.next, len(known([]*ring{r})))
		}
	}
	shot := s.refresh(r, 0)
	if !strings.Contains(string(shot.Bytes), "refresh_token=a") {
		t.Errorf("another token is presented: %s", shot.Bytes)
	}
	if err := shot.Judge(200, []byte(`{"access_token":"x","refresh_token":"a2"}`)); err != nil {
		t.Error(err)
	}
	want := family{newest: "a2", spent: "a", access: "x"}
	if got := *r.families[0]; got != want || r.next != 1 || len(known([]*ring{r})) != 2 {
		t.Errorf("got %+v, want %+v; it is the turn of %d", got, want, r.next)
	}
}

func TestRefreshIsJudged(t *testing.T) {
	f := func(status int, body string) {
		t.Helper()
		s, r := testStage(), ringOf("a", "b")
		s.Stack = new(stack.Stack)
		if err := s.refresh(r, 0).Judge(status, []byte(body)); !errors.Is(err, errWrong) {
			t.Errorf("status %d %s is judged %v", status, body, err)
		}
	}
	f(400, `{"error":"invalid_grant"}`)
	f(401, `{"error":"invalid_client"}`)
	f(500, ``)
	f(200, `{"access_token":"x","refresh_token":"a"}`) // each is good once
	f(200, `{"access_token":"x"}`)
	f(200, `{"refresh_token":"a2"}`)
	f(200, ``)
}

// served is a stage before a server that answers a refresh token with its heir, or refuses it where that is "".
func served(t *testing.T, heir func(token string) string) *stage {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != target.DefaultPaths.Token {
			fmt.Fprintln(w, `{"active":true}`)
			return
		}
		next := heir(r.FormValue("refresh_token"))
		if next == "" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant"}`)
			return
		}
		fmt.Fprintf(w, `{"access_token":"x","refresh_token":%q}`, next)
	}))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := testStage()
	s.Target.URLs, s.Stack = []*url.URL{at}, new(stack.Stack)
	return s
}

func TestFamiliesAreVerified(t *testing.T) {
	f := func(name string, lost, forked float64, heir func(token string) string) {
		t.Helper()
		s, r := served(t, heir), ringOf("a2")
		r.families[0].spent = "a1"
		if err := s.verifyFamilies(t.Context(), []*ring{r}); err != nil {
			t.Fatal(err)
		}
		if got := s.run.Facts; got["lost_families"] != lost || got["forked_families"] != forked || got["verified_families"] != 1 || got["lost_tokens"] != 0 {
			t.Errorf("%s: got %v, want %v lost and %v forked", name, got, lost, forked)
		}
	}
	n := 0
	lineage := map[string]string{"a2": "a3"}
	f("the same heir again", 0, 0, func(token string) string { return lineage[token] })
	f("refused the second time", 0, 0, func(token string) string {
		next := lineage[token]
		delete(lineage, token)
		return next
	})
	f("refused", 1, 0, func(string) string { return "" })
	f("the token itself", 1, 1, func(token string) string { return token })
	f("another heir each time", 0, 2, func(string) string { n++; return fmt.Sprint("heir ", n) })
}
