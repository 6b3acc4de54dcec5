package limits

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
	"oauth2-server/store/sqlite"
)

const secret = "hunter2-typed-as-a-name"

// inventedRules are those whose names anybody types.
func inventedRules(change ...func(*store.Limit)) []store.Limit {
	both := func(l *store.Limit) {
		l.Name, l.Endpoint, l.Key = "failures.client+ip", "failures", store.LimitByClientIP
	}
	user := func(l *store.Limit) { l.Name, l.Endpoint, l.Key = "login.username", "login", store.LimitByUsername }
	return []store.Limit{limit(10, 10, time.Hour, append(change, both)...), limit(10, 10, time.Hour, append(change, user)...)}
}

// A password in the field of the name is neither in Redis nor in what is saved.
func TestTypedNamesAreKeptAsHashes(t *testing.T) {
	client := newRedis(t, private.TestRedis(t).Addr())
	b := &book{replicas: 1}
	l := newLimiter(t, withRedis(client), func(o *Options) { o.Store = b })
	l.Apply(inventedRules())
	who := &Who{Client: []byte(secret), Username: []byte(secret), Address: netip.MustParseAddr("192.0.2.1")}
	for _, e := range []Endpoint{Failures, Login} {
		l.Spend(e, ByName, who, 1)
	}
	l.sample(time.Now().Unix())
	l.save(t.Context())
	keys := client.Keys(t.Context(), "oauth2:*").Val()
	for _, m := range b.minutes {
		for _, rule := range m.Rules {
			for _, k := range rule.Top {
				keys = append(keys, k.Key)
			}
		}
	}
	hash, _ := appendHidden(nil, []byte(secret))
	count := 0
	for _, key := range keys {
		if strings.Contains(key, secret) {
			t.Errorf("the name is kept: %s", key)
		}
		if strings.Contains(key, string(hash)) {
			count++
		}
	}
	if count != 4 || len(hash) != len("sha256:")+16 || !slices.ContainsFunc(keys, func(k string) bool { return k == string(hash)+"@192.0.2.1" }) {
		t.Errorf("got %q, want the hash in two keys of Redis and two of the minute, with the address in clear", keys)
	}
}

// Operators write names, or the hashes that statistics show.
func TestOverridesOfTypedNamesHold(t *testing.T) {
	l := newLimiter(t)
	shown, _ := appendHidden(nil, []byte("bob"))
	l.Apply(inventedRules(func(l *store.Limit) {
		block := store.Override{Mode: store.OverrideBlock}
		l.Overrides = map[string]store.Override{
			"ann": block, string(shown): block, "ann@192.0.2.1": block, string(shown) + "@192.0.2.1": block,
		}
	}))
	for _, name := range []string{"ann", "bob", "eve"} {
		who := &Who{Client: []byte(name), Username: []byte(name), Address: netip.MustParseAddr("192.0.2.1")}
		for _, e := range []Endpoint{Failures, Login} {
			if got := l.Spend(e, ByName, who, 1).Refused; got != (name != "eve") {
				t.Errorf("%v of %s: refused %v", e, name, got)
			}
		}
	}
}

// Statistics name who is registered, and nobody else.
func TestStatsNameTheRegistered(t *testing.T) {
	db, err := sqlite.Open(sqlite.Options{Path: sqlite.Memory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.CreateClient(t.Context(), operator, store.Client{ID: "app"}); err != nil {
		t.Fatal(err)
	}
	_, err = db.ChangeUser(t.Context(), operator, "user.create", store.NewID(time.Now()), func(*store.User) (*store.User, error) {
		return &store.User{Username: "ann", Role: "admin"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	top := []KeyStat{{Key: hiddenOf("app") + "@192.0.2.1"}, {Key: hiddenOf("ann")}, {Key: hiddenOf(secret)}, {Key: "plain"}}
	if err := NamesOf(db).reveal(t.Context(), top); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"app@192.0.2.1", "ann", hiddenOf(secret), "plain"} {
		if top[i].Key != want {
			t.Errorf("got %s, want %s", top[i].Key, want)
		}
	}
	unasked := Names(func(context.Context) ([]string, error) { t.Error("listed for nothing"); return nil, nil })
	if err := unasked.reveal(t.Context(), top[3:]); err != nil {
		t.Error(err)
	}
}

func hiddenOf(name string) string {
	hash, _ := appendHidden(nil, []byte(name))
	return string(hash)
}
