package login

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

var testNow = time.Unix(1_800_000_000, 0)

const (
	newKey = "a-new-session-key-of-the-tests-1234"
	oldKey = "the-old-session-key-of-the-tests-12"
)

func sessions(t testing.TB, text string) *Sessions {
	t.Helper()
	s, err := ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSessionComesBackAsItWasSealed(t *testing.T) {
	user := store.User{ID: store.NewID(testNow), Sessions: 7}
	s, session := sessions(t, newKey), NewSession(&user, testNow)
	text := s.Seal(ForAdmin, session)
	if len(text) != SealedSession || strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		t.Errorf("got %q, want %d characters of base64url", text, SealedSession)
	}
	got, err := s.Open(ForAdmin, text, testNow)
	want := Session{session.ID, user.ID, 7, testNow.Unix(), testNow.Unix() + 12*60*60, 0}
	if err != nil || got != want || got.ID.IsZero() {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// A new id at every sign-in, so that no session is continued by somebody else.
func TestEverySessionIsNew(t *testing.T) {
	user := store.User{ID: store.NewID(testNow)}
	s := sessions(t, newKey)
	one, two := NewSession(&user, testNow), NewSession(&user, testNow)
	if first, second := s.Seal(ForAdmin, one), s.Seal(ForAdmin, one); one.ID == two.ID || first == second {
		t.Error("two sessions are alike")
	}
}

func TestSessionOfAnotherAudienceIsWorthNothing(t *testing.T) {
	s := sessions(t, newKey)
	text := s.Seal(ForAdmin, NewSession(new(store.User), testNow))
	for _, audience := range []Audience{"public", "", "Admin", "admin "} {
		if _, err := s.Open(audience, text, testNow); !errors.Is(err, ErrNoSession) {
			t.Errorf("%q: got %v, want ErrNoSession", audience, err)
		}
		if _, err := s.Open(ForAdmin, s.Seal(audience, NewSession(new(store.User), testNow)), testNow); !errors.Is(err, ErrNoSession) {
			t.Errorf("sealed for %q: got %v, want ErrNoSession", audience, err)
		}
	}
}

func TestSessionExpires(t *testing.T) {
	s := sessions(t, newKey)
	text := s.Seal(ForAdmin, NewSession(new(store.User), testNow))
	if _, err := s.Open(ForAdmin, text, testNow.Add(SessionLife-time.Second)); err != nil {
		t.Error(err)
	}
	if session, err := s.Open(ForAdmin, text, testNow.Add(SessionLife)); !errors.Is(err, ErrNoSession) || session != (Session{}) {
		t.Errorf("got %v, want ErrNoSession", err)
	}
}

// There is one text for a session: every other one is refused.
func TestAlteredSessionIsRefused(t *testing.T) {
	s := sessions(t, newKey)
	text := s.Seal(ForAdmin, NewSession(new(store.User), testNow))
	f := func(altered string) {
		t.Helper()
		if _, err := s.Open(ForAdmin, altered, testNow); !errors.Is(err, ErrNoSession) {
			t.Errorf("%q: got %v, want ErrNoSession", altered, err)
		}
	}
	for i := range text {
		for _, c := range "Aa-_=\n +" {
			if byte(c) != text[i] {
				f(text[:i] + string(c) + text[i+1:])
			}
		}
		f(text[:i])
		f(text[:i] + "\n" + text[i:])
		f(text[:i] + "\r\n" + text[i+1:])
	}
	f(text + "A")
	f(text + "=")
	f(" " + text)
	f(strings.Repeat("A", SealedSession))
	f(strings.Repeat("A", 1<<20))
}

func TestSessionKeysOverlap(t *testing.T) {
	before, both, after := sessions(t, oldKey), sessions(t, " "+newKey+" , "+oldKey), sessions(t, newKey)
	session := NewSession(new(store.User), testNow)
	f := func(by, of *Sessions, want error) {
		t.Helper()
		if _, err := of.Open(ForAdmin, by.Seal(ForAdmin, session), testNow); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	f(before, both, nil)
	f(both, both, nil)
	f(both, after, nil) // the first seals
	f(both, before, ErrNoSession)
	f(before, after, ErrNoSession)
}

func TestParseKeysRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := ParseKeys(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		for part := range strings.SplitSeq(text, ",") {
			if err != nil && part != "" && strings.Contains(err.Error(), part) {
				t.Errorf("the error repeats key %q", part)
			}
		}
	}
	f("", "key 1 has 0 bytes")
	f(newKey[:31], "key 1 has 31 bytes")
	f(newKey+",", "key 2 has 0 bytes")
	f(newKey+", "+newKey, "key 2 is given twice")
	f(newKey+" "+","+strings.Repeat(" ", 40), "key 2 has 0 bytes")
}

func TestSessionKeysAreNeverPrinted(t *testing.T) {
	s := sessions(t, newKey)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		if got := fmt.Sprintf(verb, s); got != "***" {
			t.Errorf("%s: got %q", verb, got)
		}
	}
}

func FuzzOpenSession(f *testing.F) {
	s := sessions(f, newKey)
	session := Session{ID: store.ID{1}, User: store.ID{2}, Generation: 3, Issued: testNow.Unix(), Expires: testNow.Add(SessionLife).Unix()}
	text := s.Seal(ForAdmin, session)
	f.Add(text)
	f.Add(text[1:])
	f.Fuzz(func(t *testing.T, given string) {
		got, err := s.Open(ForAdmin, given, testNow)
		if err == nil && got != session || err != nil && !errors.Is(err, ErrNoSession) {
			t.Errorf("%q: got %+v, %v", given, got, err)
		}
	})
}

func TestValid(t *testing.T) {
	id := store.NewID(testNow)
	anna := store.User{ID: id, Role: store.RoleAdmin, Sessions: 3}
	session := NewSession(&anna, testNow)
	f := func(user *store.User, role string, want bool) {
		t.Helper()
		if got := session.Valid(user, role); got != want {
			t.Errorf("%+v, %q: got %v, want %v", user, role, got, want)
		}
	}
	f(&anna, store.RoleAdmin, true)
	f(&anna, "", true)
	f(&anna, store.RoleUser, false)
	f(nil, "", false)
	f(&store.User{ID: id, Role: store.RoleAdmin, Sessions: 4}, "", false)
	f(&store.User{ID: id, Role: store.RoleAdmin, Sessions: 2}, "", false)
	f(&store.User{ID: id, Role: store.RoleAdmin, Sessions: 3, Disabled: true}, "", false)
	f(&store.User{ID: id, Role: store.RoleUser, Sessions: 3}, store.RoleAdmin, false)
	f(&store.User{ID: store.NewID(testNow), Role: store.RoleAdmin, Sessions: 3}, "", false)
}

// What ends sessions ends them at once, and for good: nothing brings them back.
func TestChangesEndSessions(t *testing.T) {
	onEachStore(t, func(t *testing.T, open func() SeedStore) {
		db := open()
		hasher, _ := cheap()
		anna := enrolled(t, db, hasher, store.User{Username: "anna", Role: store.RoleAdmin})
		session := NewSession(&anna, testNow)
		f := func(want bool, change func(*store.User)) {
			t.Helper()
			changed(t, db, anna.ID, change)
			now, err := db.UserByName(t.Context(), "anna")
			if err != nil || session.Valid(&now, store.RoleAdmin) != want {
				t.Errorf("got valid %v, %v, want %v", !want, err, want)
			}
			if now.Role == store.RoleAdmin && !now.Disabled {
				session = NewSession(&now, testNow)
			}
		}
		f(true, func(u *store.User) { u.Email = "anna@example.com" })
		f(false, func(u *store.User) { u.Password += "x" })
		f(false, func(u *store.User) { u.Disabled = true })
		f(false, func(u *store.User) { u.Disabled = false })
		f(false, func(u *store.User) { u.Role = store.RoleUser })
		f(false, func(u *store.User) { u.Role = store.RoleAdmin })
		f(true, func(u *store.User) { u.Seed = "x" })
		if _, err := db.ChangeUser(t.Context(), testActor, "user.delete", anna.ID, func(*store.User) (*store.User, error) { return nil, nil }); err != nil {
			t.Fatal(err)
		}
		again := enrolled(t, db, hasher, store.User{Username: "anna", Role: store.RoleAdmin})
		if session.Valid(&again, "") {
			t.Error("a session passes to who has the name of a user who was deleted")
		}
	})
}
