package login

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

// limiter keeps what was spent, and refuses a stage if told to.
type limiter struct {
	spent  []string
	refuse string
}

func (l *limiter) Spend(e limits.Endpoint, s limits.Stage, who *limits.Who, n int64) limits.Verdict {
	text := e.String() + " " + who.Address.String()
	if s == limits.ByName {
		text = e.String() + " " + string(who.Username)
	}
	for range n {
		l.spent = append(l.spent, text)
	}
	return limits.Verdict{Refused: text == l.refuse, Retry: 42}
}

// finder finds users by what a function says, and keeps the names that it was asked for.
type finder struct {
	asked []string
	find  func(name string) (store.User, error)
}

func (f *finder) UserByName(_ context.Context, name string) (store.User, error) {
	f.asked = append(f.asked, name)
	return f.find(name)
}

func only(users ...store.User) func(string) (store.User, error) {
	return func(name string) (store.User, error) {
		for _, u := range users {
			if u.Username == name {
				return u, nil
			}
		}
		return store.User{}, store.ErrNotFound
	}
}

// house is a door to anna, an operator, ben, a user, and carl, who is disabled. All have goodPassword.
func house(t *testing.T) (*Door, *limiter, *finder, *meter) {
	t.Helper()
	hasher, meter := cheap()
	users := []store.User{{Username: "anna", Role: store.RoleAdmin}, {Username: "ben", Role: store.RoleUser}, {Username: "carl", Role: store.RoleAdmin, Disabled: true}}
	for i := range users {
		if err := hasher.Enrol(t.Context(), &users[i], goodPassword); err != nil {
			t.Fatal(err)
		}
		users[i].ID = store.NewID(testNow)
	}
	meter.spent()
	l, f := new(limiter), &finder{find: only(users...)}
	return &Door{Users: f, Limits: l, Hasher: hasher}, l, f, meter
}

var testAddress = netip.MustParseAddr("192.0.2.1")

func attempt(name, password string) Attempt { return Attempt{name, password, testAddress} }

func TestSignInFindsTheUserInEverySpelling(t *testing.T) {
	door, limiter, _, _ := house(t)
	for _, name := range []string{"anna", "Anna", " ANNA\t", "aNNa "} {
		user, err := door.SignIn(t.Context(), attempt(name, goodPassword))
		if err != nil || user.Username != "anna" {
			t.Errorf("%q: got %q, %v", name, user.Username, err)
		}
	}
	for _, spent := range limiter.spent {
		if spent != "login 192.0.2.1" && spent != "login anna" {
			t.Errorf("spent %q: a spelling is counted apart", spent)
		}
	}
	if got := len(limiter.spent); got != 8 {
		t.Errorf("got %d spent, want each attempt by address and by name", got)
	}
}

// Whether a user is there can be told neither by the answer nor by the work.
func TestSignInHidesWhoIsThere(t *testing.T) {
	door, _, _, meter := house(t)
	f := func(name, password string) {
		t.Helper()
		user, err := door.SignIn(t.Context(), attempt(name, password))
		if !errors.Is(err, ErrWrong) || err.Error() != ErrWrong.Error() || user != (store.User{}) {
			t.Errorf("%q: got %+v, %v, want ErrWrong, nothing more, and nobody", name, user.Username, err)
		}
		want := []cost{{hashTime, hashMemory, hashThreads, saltBytes, sumBytes}}
		if spent := meter.spent(); !slices.Equal(spent, want) {
			t.Errorf("%q: got work %v, want %v", name, spent, want)
		}
	}
	f("anna", "wrong")
	f("anna", "")
	f("anna", goodPassword+" ")
	f("anna", strings.ToUpper(goodPassword))
	f("nobody", goodPassword)
	f("nobody", "")
	f("carl", goodPassword)
	f("carl", "wrong")
	f("", goodPassword)
	f("an na", goodPassword)
	f("anna\x00", goodPassword)
	f("\xff", goodPassword)
	f(strings.Repeat("a", 129), goodPassword)
	door.Role = store.RoleAdmin
	f("ben", "wrong")
}

// No password is the decoy's.
func TestDecoyIsNobodys(t *testing.T) {
	h := NewHasher()
	for _, text := range []string{"", goodPassword, h.decoy} {
		if same, err := h.Verify(t.Context(), h.decoy, text); same || err != nil {
			t.Errorf("got %v, %v", same, err)
		}
	}
}

func TestSignInDemandsTheRole(t *testing.T) {
	door, _, _, _ := house(t)
	door.Role = store.RoleAdmin
	if _, err := door.SignIn(t.Context(), attempt("anna", goodPassword)); err != nil {
		t.Error(err)
	}
	if user, err := door.SignIn(t.Context(), attempt("ben", goodPassword)); !errors.Is(err, ErrRole) || user != (store.User{}) {
		t.Errorf("got %q, %v, want ErrRole and nobody", user.Username, err)
	}
}

// A refused attempt costs neither a look-up nor a hash, and the right password does not get past a limit.
func TestSignInSpendsLimitsFirst(t *testing.T) {
	f := func(refuse string, spends int) {
		t.Helper()
		door, limiter, finder, meter := house(t)
		limiter.refuse = refuse
		_, err := door.SignIn(t.Context(), attempt("Anna", goodPassword))
		refusal, ok := errors.AsType[*TooMany](err)
		if !ok || !refusal.Verdict.Refused || refusal.Verdict.Retry != 42 {
			t.Errorf("%s: got %v, want the limit's verdict", refuse, err)
		}
		if len(limiter.spent) != spends || finder.asked != nil || meter.spent() != nil {
			t.Errorf("%s: spent %v, asked for %v", refuse, limiter.spent, finder.asked)
		}
	}
	f("login 192.0.2.1", 1)
	f("login anna", 2)
}

// Who fills the queue of passwords spends nobody's budget: the right person gets in when there is room again.
func TestSignInSpendsNothingWhileBusy(t *testing.T) {
	door, limiter, finder, _ := house(t)
	for range cap(door.Hasher.inside) {
		door.Hasher.inside <- struct{}{}
	}
	if _, err := door.SignIn(t.Context(), attempt("anna", goodPassword)); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if limiter.spent != nil || finder.asked != nil {
		t.Errorf("spent %v, asked for %v, want nothing", limiter.spent, finder.asked)
	}
	for range cap(door.Hasher.inside) {
		<-door.Hasher.inside
	}
	if _, err := door.SignIn(t.Context(), attempt("anna", goodPassword)); err != nil {
		t.Error(err)
	}
}

// However an attempt ends, its turn does.
func TestSignInGivesItsTurnBack(t *testing.T) {
	door, limiter, finder, _ := house(t)
	limiter.refuse = "login ben"
	find := finder.find
	finder.find = func(name string) (store.User, error) {
		if name == "dora" {
			return store.User{}, store.ErrUnavailable
		}
		return find(name)
	}
	for _, name := range []string{"anna", "ben", "carl", "dora", "nobody", "a b"} {
		_, _ = door.SignIn(t.Context(), attempt(name, goodPassword))
		if len(door.Hasher.inside) != 0 || len(door.Hasher.working) != 0 {
			t.Fatalf("%s: %d inside, %d working, want none", name, len(door.Hasher.inside), len(door.Hasher.working))
		}
	}
}

// A name that nobody can have reaches neither the store, which could not read it, nor the limiter's memory.
func TestSignInKeepsGarbageOut(t *testing.T) {
	door, limiter, finder, _ := house(t)
	for _, name := range []string{"", "a b", "a\x00", "\xff", "ünna", strings.Repeat("a", 129), strings.Repeat("a", 1<<20)} {
		if _, err := door.SignIn(t.Context(), attempt(name, goodPassword)); !errors.Is(err, ErrWrong) {
			t.Errorf("got %v, want ErrWrong", err)
		}
	}
	if finder.asked != nil || slices.ContainsFunc(limiter.spent, func(s string) bool { return s != "login 192.0.2.1" }) {
		t.Errorf("asked for %q, spent %.200q", finder.asked, limiter.spent)
	}
}

// A fault is never a wrong password.
func TestSignInTellsFaults(t *testing.T) {
	f := func(fault, want error) {
		t.Helper()
		door, _, finder, _ := house(t)
		finder.find = func(string) (store.User, error) { return store.User{}, fault }
		if _, err := door.SignIn(t.Context(), attempt("anna", goodPassword)); !errors.Is(err, want) || errors.Is(err, ErrWrong) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	f(store.ErrUnavailable, store.ErrUnavailable)
	f(&store.Fault{Part: store.StepTCP, Err: errors.New("refused")}, store.ErrUnavailable)
	f(context.Canceled, context.Canceled)

	door, _, finder, _ := house(t)
	finder.find = only(store.User{Username: "anna", Password: "damaged"})
	if _, err := door.SignIn(t.Context(), attempt("anna", goodPassword)); err == nil || errors.Is(err, ErrWrong) || strings.Contains(err.Error(), "damaged\"") {
		t.Errorf("got %v, want a fault", err)
	}
}

func TestSignInOverEachStore(t *testing.T) {
	onEachStore(t, func(t *testing.T, open func() SeedStore) {
		db, limiter := open(), new(limiter)
		hasher, _ := cheap()
		door := &Door{Users: db, Limits: limiter, Hasher: hasher}
		made := enrolled(t, db, hasher, store.User{Username: "Anna", Role: store.RoleAdmin})
		if user, err := door.SignIn(t.Context(), attempt(" ANNA ", goodPassword)); err != nil || user.ID != made.ID {
			t.Errorf("got %+v, %v", user, err)
		}
		if _, err := door.SignIn(t.Context(), attempt("ben", goodPassword)); !errors.Is(err, ErrWrong) {
			t.Errorf("got %v, want ErrWrong", err)
		}
		changed(t, db, made.ID, func(u *store.User) { u.Disabled = true })
		if _, err := door.SignIn(t.Context(), attempt("anna", goodPassword)); !errors.Is(err, ErrWrong) {
			t.Errorf("got %v, want ErrWrong", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := door.SignIn(ctx, attempt("anna", goodPassword)); err == nil || errors.Is(err, ErrWrong) {
			t.Errorf("got %v, want a fault", err)
		}
	})
}

// Who types an operator's name at the public door spends nothing of what the operators' door counts.
func TestDoorsCountNamesApart(t *testing.T) {
	door, limiter, _, _ := house(t)
	operators := *door
	operators.Space, limiter.refuse = "admin:", "login anna"
	if _, err := door.SignIn(t.Context(), attempt("anna", "wrong")); err == nil || errors.Is(err, ErrWrong) {
		t.Errorf("got %v, want the limit", err)
	}
	if user, err := operators.SignIn(t.Context(), attempt("Anna", goodPassword)); err != nil || user.Username != "anna" {
		t.Errorf("got %q, %v: the operator is locked out", user.Username, err)
	}
	if !slices.Contains(limiter.spent, "login admin:anna") || isUsername("admin:anna") {
		t.Errorf("spent %q", limiter.spent)
	}
}
