package login

import (
	"errors"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

func sealedRequest(t testing.TB, s *Sessions, r Request) string {
	t.Helper()
	text, err := s.SealRequest(r, testNow)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRequestComesBackAsItWasSealed(t *testing.T) {
	s := sessions(t, newKey)
	f := func(want Request) {
		t.Helper()
		got, err := s.OpenRequest(sealedRequest(t, s, want), testNow.Add(RequestLife-time.Second))
		if err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	f(Request{})
	f(Request{Params: "client_id=app&state=%F0%9F%8C%BB", Asked: Asked{At: testNow.Unix(), Before: store.NewID(testNow)}, Session: store.NewID(testNow)})
	f(Request{Params: strings.Repeat("x", MaxParams)})
	if _, err := s.SealRequest(Request{Params: strings.Repeat("x", MaxParams+1)}, testNow); !errors.Is(err, ErrLong) {
		t.Errorf("got %v, want ErrLong", err)
	}
}

func TestRequestExpires(t *testing.T) {
	s := sessions(t, newKey)
	if r, err := s.OpenRequest(sealedRequest(t, s, Request{Params: "a=b"}), testNow.Add(RequestLife)); !errors.Is(err, ErrRequest) || r != (Request{}) {
		t.Errorf("got %+v, %v, want ErrRequest", r, err)
	}
}

// One key seals both: what is one must not pass for the other.
func TestRequestIsNoSession(t *testing.T) {
	s := sessions(t, newKey)
	request := sealedRequest(t, s, Request{Params: strings.Repeat("x", 16)})
	for _, audience := range []Audience{ForPublic, ForAdmin} {
		if _, err := s.Open(audience, request, testNow); !errors.Is(err, ErrNoSession) {
			t.Errorf("a request is a session for %q: %v", audience, err)
		}
		session := s.Seal(audience, NewSession(new(store.User), testNow))
		if _, err := s.OpenRequest(session, testNow); !errors.Is(err, ErrRequest) {
			t.Errorf("a session for %q is a request: %v", audience, err)
		}
	}
}

func TestAlteredRequestIsRefused(t *testing.T) {
	s := sessions(t, newKey)
	text := sealedRequest(t, s, Request{Params: "client_id=app"})
	f := func(altered string) {
		t.Helper()
		if _, err := s.OpenRequest(altered, testNow); !errors.Is(err, ErrRequest) {
			t.Errorf("%q: got %v, want ErrRequest", altered, err)
		}
	}
	for i := range text {
		f(text[:i])
		f(text[:i] + "\n" + text[i:])
		f(text[:i] + string("AB"[text[i]&1^1]) + text[i+1:] + "AAAA")
	}
	f(text + "=")
	f(strings.Repeat("A", MaxSealed+4))
	if _, err := sessions(t, oldKey).OpenRequest(text, testNow); !errors.Is(err, ErrRequest) {
		t.Errorf("another key: got %v", err)
	}
	if _, err := sessions(t, oldKey+","+newKey).OpenRequest(text, testNow); err != nil {
		t.Errorf("a key that is being changed: got %v", err)
	}
}

// The position of a session comes back with it: a cut-off compares with it.
func TestSessionKeepsItsPosition(t *testing.T) {
	s := sessions(t, newKey)
	session := NewSession(&store.User{ID: store.NewID(testNow)}, testNow)
	session.Position = 1 << 40
	if got, err := s.Open(ForPublic, s.Seal(ForPublic, session), testNow); err != nil || got != session {
		t.Errorf("got %+v, %v, want %+v", got, err, session)
	}
}

func FuzzOpenRequest(f *testing.F) {
	s := sessions(f, newKey)
	want := Request{Params: "client_id=app", Session: store.ID{1}}
	text := sealedRequest(f, s, want)
	f.Add(text)
	f.Add(text[1:])
	f.Add(s.SealText(ForRequest, "short", testNow.Add(time.Hour)))
	f.Fuzz(func(t *testing.T, given string) {
		got, err := s.OpenRequest(given, testNow)
		if err == nil && got != want || err != nil && (!errors.Is(err, ErrRequest) || got != (Request{})) {
			t.Errorf("%q: got %+v, %v", given, got, err)
		}
	})
}
