package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

var rotator = store.Actor{Kind: "cli", ID: "test"}

// turns rotates the ring of a cluster. Each turn is an hour later by the clock it gives, so that next keys are old enough.
type turns struct {
	c  *cluster
	at time.Time
}

// rotate returns the keys that are active after it, by use, and the time it was acknowledged.
func (r *turns) rotate(rotation keys.Rotation) (active map[string]store.Key, acknowledged time.Time) {
	r.c.t.Helper()
	config, err := loadConfig(r.c.env)
	if err != nil {
		r.c.t.Fatal(err)
	}
	r.at = r.at.Add(time.Hour)
	changed, err := keys.RotateStored(r.c.t.Context(), r.c.db, rotator, config.secrets, keys.ES256, r.at, rotation)
	if err != nil {
		r.c.t.Fatal(err)
	}
	acknowledged, active = time.Now(), map[string]store.Key{}
	for _, key := range changed {
		if key.State == store.KeyActive && (key.Use == store.UseMAC || key.Alg == string(keys.ES256)) {
			active[key.Use] = key
		}
	}
	return active, acknowledged
}

// madeBy reports whether the key made the token.
func madeBy(t *testing.T, key store.Key, token string) bool {
	t.Helper()
	if key.Use == store.UseMAC {
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "oat_"))
		if err != nil {
			t.Fatal(err)
		}
		return int(raw[0]) == key.Number
	}
	var header struct{ KID string }
	first, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil || json.Unmarshal(raw, &header) != nil {
		t.Fatalf("the token has no header: %v", err)
	}
	return header.KID == key.ID.String()
}

// untilMadeBy issues tokens until they are made by the key: at most a second after the acknowledgement, and then all are.
func untilMadeBy(t *testing.T, r *replica, as identity, key store.Key, acknowledged time.Time) string {
	t.Helper()
	for {
		asked := time.Now()
		if token := r.mustIssue(as); madeBy(t, key, token) {
			if again := r.mustIssue(as); !madeBy(t, key, again) {
				t.Error("the new key signed, and then the old one")
			}
			return token
		}
		if asked.Sub(acknowledged) > time.Second {
			t.Fatalf("asked %v after the acknowledgement: the old key still makes tokens", asked.Sub(acknowledged))
		}
	}
}

// Rotation under load: the new keys make tokens on every replica within a second, and no validation fails, of a token
// of any key on any replica.
func TestRotationFailsNoValidation(t *testing.T) {
	c := newCluster(t, 3)
	clients := map[string]identity{store.UseMAC: c.newClient("opaque"), store.UseSign: c.newClient("jwt", asJWT)}
	var checked atomic.Int64
	stop := load(6, func(worker int) {
		as := clients[[]string{store.UseMAC, store.UseSign}[worker%2]]
		a := c.replicas[worker%3].issue(as)
		token, ok := a.field("access_token").(string)
		if !ok {
			t.Errorf("issue: %s", a)
			return
		}
		for _, r := range c.replicas {
			if a := r.introspect(as, token); a.field("active") != true {
				t.Errorf("a fresh token of %s: %s", as.id, a)
			}
		}
		checked.Add(1)
	})
	defer stop()
	held := map[string][]string{}
	r := &turns{c, time.Now()}
	for range 3 {
		before := checked.Load()
		c.replicas[0].await("validate under load", func() bool { return checked.Load() > before+50 })
		active, acknowledged := r.rotate(keys.Rotation{})
		for use, key := range active {
			for _, replica := range c.replicas {
				held[use] = append(held[use], untilMadeBy(t, replica, clients[use], key, acknowledged))
			}
		}
	}
	stop()
	for use, tokens := range held {
		for _, token := range tokens {
			for i, replica := range c.replicas {
				if !replica.isActive(clients[use], token) {
					t.Errorf("%s: a token of an old key is not active on replica %d", use, i)
				}
			}
		}
	}
}

// An emergency: whatever the active and the retiring keys of the use made is inactive on every replica within a second,
// though each has seen it active; new tokens are active everywhere, and the other use is left alone.
func TestEmergencyEndsAllTheOldKeysMade(t *testing.T) {
	c := newCluster(t, 3)
	clients := map[string]identity{store.UseMAC: c.newClient("opaque"), store.UseSign: c.newClient("jwt", asJWT)}
	held := map[string][]string{}
	r := &turns{c, time.Now()}
	hold := func() {
		t.Helper()
		for use, as := range clients {
			for _, issuer := range c.replicas {
				held[use] = append(held[use], issuer.mustIssue(as))
			}
		}
	}
	hold()
	active, acknowledged := r.rotate(keys.Rotation{}) // what is held is of retiring keys
	for use, key := range active {
		for _, replica := range c.replicas {
			untilMadeBy(t, replica, clients[use], key, acknowledged)
		}
	}
	hold()
	wantActive := func(use string) {
		t.Helper()
		for _, token := range held[use] {
			for _, replica := range c.replicas {
				if !replica.isActive(clients[use], token) {
					t.Fatalf("%s: a live token is not active", use)
				}
			}
		}
	}
	wantActive(store.UseMAC)
	wantActive(store.UseSign)
	for _, use := range []string{store.UseMAC, store.UseSign} {
		active, acknowledged := r.rotate(keys.Rotation{Use: use, Emergency: true})
		var all sync.WaitGroup
		for _, replica := range c.replicas {
			for _, token := range held[use] {
				all.Go(func() { untilRefused(t, replica, clients[use], token, acknowledged) })
			}
		}
		all.Wait()
		if use == store.UseMAC {
			wantActive(store.UseSign)
		}
		for _, issuer := range c.replicas {
			token := untilMadeBy(t, issuer, clients[use], active[use], acknowledged)
			for i, replica := range c.replicas {
				if !replica.isActive(clients[use], token) {
					t.Errorf("%s: a token of the new key is not active on replica %d", use, i)
				}
			}
		}
		if jwks := c.replicas[0].get("/.well-known/jwks.json"); use == store.UseSign && (jwks.status != http.StatusOK || strings.Count(jwks.body, `"kid"`) != 2*len(keys.IDTokenAlgs())) {
			t.Errorf("published after the emergency: %s, want the active and the next key of each algorithm", jwks)
		}
	}
}

// published is the ring in the console's store, made so long ago.
func (c *console) published(ago time.Duration) {
	c.t.Helper()
	config := c.config()
	_, err := keys.Ensure(c.t.Context(), c.open(), rotator, config.secrets, keys.Alg(config.JWTAlg), time.Now().Add(-ago))
	if err != nil {
		c.t.Fatal(err)
	}
}

// states is how many keys of each use and state "keys list" shows, of some algorithms or of all.
func (c *console) states(algs ...string) map[string]int {
	c.t.Helper()
	count := map[string]int{}
	for _, k := range decodeJSON[[]keys.Listed](c.t, c.must("keys", "list", "--json")) {
		if len(algs) == 0 || slices.Contains(algs, k.Alg) {
			count[k.Use+" "+k.State]++
		}
	}
	return count
}

// wantStates also wants one active and one next key of each use. Keys of id_tokens alone are left out: they go through the same.
func (c *console) wantStates(retiring, retired int) {
	c.t.Helper()
	got := c.states(store.AlgMAC, string(keys.ES256))
	for _, one := range []string{"sign active", "sign next", "mac active", "mac next"} {
		if got[one] != 1 {
			c.t.Errorf("%d keys are %s, want 1", got[one], one)
		}
	}
	if got["sign retiring"]+got["mac retiring"] != retiring || got["sign retired"]+got["mac retired"] != retired {
		c.t.Errorf("got %v, want %d retiring and %d retired", got, retiring, retired)
	}
}

// Rotations from three places at once are one step: two are told when theirs may be done.
func TestRotationsAtOnceAreOneStep(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		c.published(0)
		secrets, places := c.config().secrets, []database{c.open(), c.open(), c.open()}
		at := time.Now()
		if err := keys.EnsureIDTokens(t.Context(), places[0], rotator, secrets, at); err != nil {
			t.Fatal(err)
		}
		for round := range 5 {
			at = at.Add(time.Hour)
			var early atomic.Int64
			var group sync.WaitGroup
			for _, db := range places {
				group.Go(func() {
					_, err := keys.RotateStored(t.Context(), db, rotator, secrets, keys.ES256, at, keys.Rotation{})
					if _, ok := errors.AsType[*keys.EarlyError](err); ok {
						early.Add(1)
					} else if err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if early.Load() != 2 {
				t.Errorf("round %d: %d rotations were refused, want 2 of 3", round, early.Load())
			}
			c.wantStates(2*(round+1), 0)
		}
		c.upkeepAtOnce(places, at.Add(2*366*24*time.Hour)) // when the last refresh token is dead too
		c.wantStates(0, 10)
	})
}

// upkeepAtOnce does what is due in three places, and wants it done once.
func (c *console) upkeepAtOnce(places []database, at time.Time) {
	c.t.Helper()
	stored, err := places[0].Keys(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	before := c.cursor()
	var group sync.WaitGroup
	for _, db := range places {
		group.Go(func() {
			ring := keys.NewRing(c.config().secrets, keys.ES256)
			if err := errors.Join(ring.Replace(stored), keys.Upkeep(c.t.Context(), db, ring, rotator, at)); err != nil {
				c.t.Error(err)
			}
		})
	}
	group.Wait()
	var told int
	if _, err := places[0].Poll(c.t.Context(), before, func(*store.Change) error { told++; return nil }); err != nil || told != 1 {
		c.t.Errorf("got %d changes of the ring, %v, want 1", told, err)
	}
}

// cursor is the end of the store's feed.
func (c *console) cursor() store.Cursor {
	c.t.Helper()
	beat, err := c.open().Load(c.t.Context(), func(*store.Change) error { return nil })
	if err != nil {
		c.t.Fatal(err)
	}
	return beat.Cursor
}
