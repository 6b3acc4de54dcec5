package keys

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oauth2-server/store"
)

// inState is a MAC or ES256 key of a name's state, old enough for any step.
func inState(t testing.TB, s Secrets, use string, alg Alg, state string) store.Key {
	t.Helper()
	old := now.Add(-24 * time.Hour)
	key := generateMAC(s, 9, state, old)
	if use == store.UseSign {
		var err error
		if key, err = generateSign(s, alg, state, old); err != nil {
			t.Fatal(err)
		}
	}
	return key
}

// rotate is the ring after a rotation that must be done.
func rotate(t testing.TB, all []store.Key, s Secrets, alg Alg, at time.Time, r Rotation) []store.Key {
	t.Helper()
	changed, err := Rotate(all, s, alg, at, r)
	if err != nil {
		t.Fatal(err)
	}
	return joined(all, changed)
}

// joined is a ring after a change of it.
func joined(all, changed []store.Key) []store.Key {
	after := slices.Clone(all)
	for _, key := range changed {
		i := slices.IndexFunc(after, func(k store.Key) bool { return k.ID == key.ID })
		if i < 0 {
			after = append(after, key)
		} else {
			after[i] = key
		}
	}
	return after
}

func TestRotationStepsOfEveryState(t *testing.T) {
	s := secrets(t, newText)
	base := generate(t, s, ES256) // complete, published at now
	at := now.Add(time.Hour)
	f := func(r Rotation, use string, alg Alg, from, to string) {
		t.Helper()
		key := inState(t, s, use, alg, from)
		all := append(slices.Clone(base), key)
		after := rotate(t, all, s, ES256, at, r)
		i := slices.IndexFunc(after, func(k store.Key) bool { return k.ID == key.ID })
		got := after[i]
		if got.State != to {
			t.Errorf("%+v: %s %s key became %s, want %s", r, from, alg, got.State, to)
		}
		if from == to {
			if !got.Since.Equal(key.Since) || !got.Until.Equal(key.Until) {
				t.Errorf("%+v: a key that stays %s has new times", r, from)
			}
			return
		}
		if !got.Since.Equal(at) {
			t.Errorf("%s → %s: since %v, want %v", from, to, got.Since, at)
		}
		until := time.Time{}
		if to == store.KeyRetiring {
			until = at.Add(store.MaxTokenLife + time.Hour)
			if use == store.UseMAC {
				until = at.Add(store.MaxRefreshTTL*time.Second + time.Hour) // refresh tokens live that long
			}
		}
		if !got.Until.Equal(until) {
			t.Errorf("%s → %s: until %v, want %v", from, to, got.Until, until)
		}
		if gone := len(got.Seals) == 0; gone != (to == store.KeyRetired) {
			t.Errorf("%s → %s: private part gone %v", from, to, gone)
		}
	}
	for _, use := range []string{store.UseSign, store.UseMAC} {
		alg := map[string]Alg{store.UseSign: ES256, store.UseMAC: store.AlgMAC}[use]
		other := map[string]string{store.UseSign: store.UseMAC, store.UseMAC: store.UseSign}[use]
		for _, r := range []Rotation{{}, {Use: use}} {
			f(r, use, alg, store.KeyNext, store.KeyActive)
			f(r, use, alg, store.KeyActive, store.KeyRetiring)
			f(r, use, alg, store.KeyRetiring, store.KeyRetiring)
			f(r, use, alg, store.KeyRetired, store.KeyRetired)
			r.Emergency = true
			f(r, use, alg, store.KeyNext, store.KeyActive)
			f(r, use, alg, store.KeyActive, store.KeyRetired)
			f(r, use, alg, store.KeyRetiring, store.KeyRetired)
		}
		for _, state := range []string{store.KeyNext, store.KeyActive, store.KeyRetiring} { // the other use is left alone
			f(Rotation{Use: other}, use, alg, state, state)
			f(Rotation{Use: other, Emergency: true}, use, alg, state, state)
		}
	}
	f(Rotation{}, store.UseSign, EdDSA, store.KeyActive, store.KeyRetiring) // signs id_tokens, whatever OAUTH2_JWT_ALG is
	f(Rotation{}, store.UseSign, EdDSA, store.KeyNext, store.KeyActive)
	f(Rotation{}, store.UseSign, PS256, store.KeyActive, store.KeyRetiring) // left over from another OAUTH2_JWT_ALG
	f(Rotation{}, store.UseSign, PS256, store.KeyNext, store.KeyRetired)
	f(Rotation{}, store.UseSign, PS256, store.KeyRetiring, store.KeyRetiring)
	f(Rotation{Emergency: true}, store.UseSign, PS256, store.KeyActive, store.KeyRetired)
	f(Rotation{Emergency: true}, store.UseSign, PS256, store.KeyNext, store.KeyActive)
}

// Access tokens live a day, and MAC keys make refresh tokens as well, which live a year.
func TestRetireWaitsForTheLastToken(t *testing.T) {
	s := secrets(t, newText)
	all := rotate(t, generate(t, s, ES256), s, ES256, now.Add(time.Hour), Rotation{})
	for _, last := range []struct {
		use  string
		life time.Duration
	}{{store.UseSign, store.MaxTokenLife}, {store.UseMAC, store.MaxRefreshTTL * time.Second}} {
		until := now.Add(time.Hour + last.life + time.Hour)
		if due := Retire(all, until.Add(-1)); len(due) != 0 || ring(t, s, ES256, all).due(until.Add(-1)) {
			t.Errorf("%d keys are retired before their last token is dead", len(due))
		}
		due := Retire(all, until)
		if len(due) != 1 || due[0].Use != last.use || !ring(t, s, ES256, all).due(until) {
			t.Fatalf("got %d keys, want one to %s", len(due), last.use)
		}
		if key := due[0]; key.State != store.KeyRetired || !key.Since.Equal(until) || !key.Until.IsZero() || key.Seals != nil {
			t.Errorf("got %+v", key.Masked())
		}
		all = joined(all, due)
	}
}

func TestNextKeyIsPublishedBeforeItIsUsed(t *testing.T) {
	s := secrets(t, newText)
	all := generate(t, s, ES256)
	f := func(r Rotation, wait time.Duration, hint bool) {
		t.Helper()
		_, err := Rotate(all, s, ES256, now.Add(wait-1), r)
		early, ok := errors.AsType[*EarlyError](err)
		if !ok || !early.At.Equal(now.Add(wait)) || strings.Contains(err.Error(), "--emergency") != hint {
			t.Errorf("%+v: got %v, want refusal until %v", r, err, now.Add(wait))
		}
		rotate(t, all, s, ES256, now.Add(wait), r)
	}
	f(Rotation{Ahead: time.Hour}, time.Hour, true)
	slices.Reverse(all) // it is the time of the key that takes longest, in whatever order
	f(Rotation{Ahead: time.Hour}, time.Hour, true)
	f(Rotation{Ahead: time.Hour, Use: store.UseSign}, time.Hour, true)
	f(Rotation{Ahead: time.Hour, Use: store.UseMAC}, 2*time.Second, false)
	f(Rotation{Use: store.UseSign}, 2*time.Second, false)
	f(Rotation{Ahead: time.Hour, Emergency: true}, 2*time.Second, false)
}

func TestRotationRefusesWhatItCannotDo(t *testing.T) {
	s := secrets(t, newText)
	all := generate(t, s, ES256)
	f := func(all []store.Key, alg Alg, r Rotation, want string) {
		t.Helper()
		changed, err := Rotate(all, s, alg, now.Add(time.Hour), r)
		if err == nil || !strings.Contains(err.Error(), want) || changed != nil {
			t.Errorf("%s %+v: got %d keys, %v, want %q", alg, r, len(changed), err, want)
		}
	}
	f(all, ES256, Rotation{Use: "encrypt"}, "neither sign nor mac")
	f(all, EdDSA, Rotation{}, "OAUTH2_JWT_ALG")
	f(all, EdDSA, Rotation{Emergency: true}, "OAUTH2_JWT_ALG")
	f(nil, ES256, Rotation{Use: store.UseMAC}, "HMAC-SHA-256")
	shared := generate(t, s, HS256)
	f(shared, HS256, Rotation{Use: store.UseSign}, "OAUTH2_JWT_SECRET")
	f(shared, HS256, Rotation{Emergency: true}, "OAUTH2_JWT_SECRET")
	if changed, err := Rotate(all, s, EdDSA, now.Add(time.Hour), Rotation{Use: store.UseMAC}); err != nil || len(changed) != 3 {
		t.Errorf("MAC keys alone: got %d keys, %v, want 3 whatever signs", len(changed), err)
	}
}

// Beside HS256, which the secret changes, the stored keys of id_tokens are rotated, and end when one leaked.
func TestIDTokenKeysAreRotatedBesideHS256(t *testing.T) {
	s := secrets(t, newText)
	all := generate(t, s, HS256)
	signing, err := GenerateIDTokens(s, now, all)
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, signing...)
	f := func(r Rotation, state string) {
		t.Helper()
		changed, err := Rotate(all, s, HS256, now.Add(time.Hour), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, alg := range idTokenAlgs {
			if !has(changed, store.UseSign, string(alg), state) || !has(changed, store.UseSign, string(alg), store.KeyActive) {
				t.Errorf("%+v: the active key of %s is not %s, or has no successor", r, alg, state)
			}
		}
	}
	f(Rotation{Use: store.UseSign}, store.KeyRetiring)
	f(Rotation{Use: store.UseSign, Emergency: true}, store.KeyRetired)
	f(Rotation{Emergency: true}, store.KeyRetired)
}

// A change of OAUTH2_JWT_ALG: the old keys go on to verify, and the first rotation after it ends them.
func TestKeysOfAnotherAlgVerifyAndRetire(t *testing.T) {
	s := secrets(t, newText)
	old := generate(t, s, PS256)
	header := ring(t, s, PS256, old).Signer().Header()
	for _, alg := range []Alg{EdDSA, HS256} {
		all := joined(old, generate(t, s, alg, old...))
		if r := ring(t, s, alg, all); r.Signer().Alg != alg || r.Verifier(header) == nil {
			t.Errorf("%s: the ring signs with %s, and the old key verifies: %v", alg, r.Signer().Alg, r.Verifier(header) != nil)
		}
		all = rotate(t, all, s, alg, now.Add(time.Hour), Rotation{})
		if ring(t, s, PS256, all).Signer() != nil || ring(t, s, alg, all).Verifier(header) == nil {
			t.Errorf("%s: after a rotation the old key must verify and not sign", alg)
		}
		all = joined(all, Retire(all, now.Add(time.Hour+lastToken)))
		if ring(t, s, alg, all).Verifier(header) != nil || has(all, store.UseSign, string(PS256), store.KeyNext) {
			t.Errorf("%s: keys of the old algorithm are left", alg)
		}
	}
}

// An emergency may come while some replicas still sign with the old algorithm: none is left without a key.
func TestEmergencyLeavesNoAlgWithoutKey(t *testing.T) {
	s := secrets(t, newText)
	all := generate(t, s, ES256)
	all = joined(all, generate(t, s, EdDSA, all...))
	after := rotate(t, all, s, EdDSA, now.Add(time.Hour), Rotation{Emergency: true})
	for _, alg := range []Alg{ES256, EdDSA} {
		before := ring(t, s, alg, all)
		r := ring(t, s, alg, after)
		if r.Ready() != nil || r.Verifier(before.Signer().Header()) != nil || r.MAC(before.ActiveMAC().Number) != nil {
			t.Errorf("%s: %v, or the old keys still verify", alg, r.Ready())
		}
	}
}

// Whoever holds a key that an emergency retired cannot forge what lies in Redis.
func TestRetiredKeyOpensNothing(t *testing.T) {
	s := secrets(t, newText)
	all := generate(t, s, ES256)
	leaked := ring(t, s, ES256, all)
	id := store.NewID(now)
	forged := leaked.Seal(nil, 't', id, 1, []byte("record"))
	for _, r := range []Rotation{{}, {Emergency: true}} {
		_, err := ring(t, s, ES256, rotate(t, all, s, ES256, now.Add(time.Hour), r)).Open(nil, 't', id, 1, forged)
		if (err != nil) != r.Emergency {
			t.Errorf("emergency %v: got %v", r.Emergency, err)
		}
	}
}

// Whatever is done in whatever order: one active and one next key of the use and algorithm, live numbers that differ,
// and a key that has an end only while it is retiring.
func TestRingStaysCompleteWhateverIsDone(t *testing.T) {
	s := secrets(t, newText)
	random := rand.New(rand.NewPCG(1, 2))
	all, at := generate(t, s, EdDSA), now
	for step := range 1500 {
		at = at.Add(time.Duration(random.IntN(10)) * time.Hour)
		r := Rotation{Use: []string{"", store.UseMAC, store.UseMAC, store.UseSign}[random.IntN(4)], Ahead: time.Hour, Emergency: random.IntN(5) == 0}
		changed, err := Rotate(all, s, EdDSA, at, r)
		if _, early := errors.AsType[*EarlyError](err); err != nil && !early {
			t.Fatal(err)
		}
		all = joined(all, changed)
		all = joined(all, Retire(all, at))
		wantComplete(t, step, all)
	}
	if numbers := slices.MaxFunc(all, func(a, b store.Key) int { return a.Number - b.Number }); numbers.Number != 255 {
		t.Errorf("the numbers end at %d: too few rotations to show that they are used again", numbers.Number)
	}
}

func wantComplete(t *testing.T, step int, all []store.Key) {
	t.Helper()
	count, numbers := map[string]int{}, map[int]bool{}
	for _, key := range all {
		count[key.Use+" "+key.State]++
		if key.Use == store.UseMAC && key.State != store.KeyRetired {
			if numbers[key.Number] {
				t.Fatalf("step %d: two live keys have the number %d", step, key.Number)
			}
			numbers[key.Number] = true
		}
		if key.Until.IsZero() == (key.State == store.KeyRetiring) {
			t.Fatalf("step %d: a %s key ends at %v", step, key.State, key.Until)
		}
	}
	for _, one := range []string{"sign active", "sign next", "mac active", "mac next"} {
		if count[one] != 1 {
			t.Fatalf("step %d: %d keys are %s, want 1", step, count[one], one)
		}
	}
}

func TestRotationsAtOnceAreOneStep(t *testing.T) {
	s := secrets(t, newText)
	db := &memory{keys: generate(t, s, ES256)}
	at := now.Add(time.Hour)
	var group sync.WaitGroup
	results := make([]error, 3)
	for i := range results {
		group.Go(func() { _, results[i] = RotateStored(t.Context(), db, store.Actor{}, s, ES256, at, Rotation{}) })
	}
	group.Wait()
	early := 0
	for _, err := range results {
		if _, ok := errors.AsType[*EarlyError](err); ok {
			early++
		} else if err != nil {
			t.Error(err)
		}
	}
	wantComplete(t, 0, db.keys)
	if early != 2 || len(db.keys) != 6 || !slices.Equal(db.actions, []string{"keys.rotate"}) {
		t.Errorf("%d were refused as early, %d keys, changes %v", early, len(db.keys), db.actions)
	}
}

func TestRotationSeesWhatAnotherDidJustBefore(t *testing.T) {
	s := secrets(t, newText)
	all := generate(t, s, ES256)
	at := now.Add(time.Hour)
	db := &memory{keys: all, rival: rotate(t, all, s, ES256, at, Rotation{})}
	changed, err := RotateStored(t.Context(), db, store.Actor{}, s, ES256, at, Rotation{})
	if _, early := errors.AsType[*EarlyError](err); !early || changed != nil {
		t.Errorf("got %d keys, %v, want an early rotation", len(changed), err)
	}
}

func TestUpkeepTouchesTheStoreOnlyWhenItIsDue(t *testing.T) {
	s := secrets(t, newText)
	at := now.Add(time.Hour)
	db := &memory{keys: rotate(t, complete(t, s, ES256), s, ES256, at, Rotation{})}
	followers := []*Ring{ring(t, s, ES256, db.keys), ring(t, s, ES256, db.keys), ring(t, s, ES256, db.keys)}
	f := func(at time.Time, asked int, actions ...string) {
		t.Helper()
		for _, r := range followers {
			if err := Upkeep(t.Context(), db, r, store.Actor{}, at); err != nil {
				t.Error(err)
			}
		}
		if db.asked != asked || !slices.Equal(db.actions, actions) {
			t.Errorf("asked %d times and did %v, want %d and %v", db.asked, db.actions, asked, actions)
		}
	}
	f(at.Add(lastToken-1), 0)
	f(at.Add(lastToken), 3, "keys.retire") // all see it due, one does it
	for _, r := range followers {
		if err := r.Replace(db.keys); err != nil {
			t.Fatal(err)
		}
	}
	f(at.Add(2*lastToken), 3, "keys.retire")
}

// A ring was reset by somebody whose OAUTH2_JWT_ALG was another: the servers help themselves.
func TestUpkeepCompletesARingThatCannotSign(t *testing.T) {
	s := secrets(t, newText)
	db := &memory{keys: generate(t, s, EdDSA)}
	if err := Upkeep(t.Context(), db, ring(t, s, ES256, db.keys), store.Actor{}, now); err != nil {
		t.Fatal(err)
	}
	if err := ring(t, s, ES256, db.keys).Ready(); err != nil {
		t.Error(err)
	}
}

// A shell with another secret than the servers' makes nothing that they could not open.
func TestRotationWithAnotherSecretIsRefused(t *testing.T) {
	db := &memory{keys: complete(t, secrets(t, oldText), ES256)}
	_, err := RotateStored(t.Context(), db, store.Actor{}, secrets(t, newText), ES256, now.Add(time.Minute), Rotation{Emergency: true})
	if !errors.Is(err, ErrSealed) || len(db.actions) > 0 {
		t.Errorf("got %v and %v, want ErrSealed and nothing done", err, db.actions)
	}
	if _, err := RotateStored(t.Context(), db, store.Actor{}, secrets(t, newText+","+oldText), ES256, now.Add(time.Minute), Rotation{Emergency: true}); err != nil {
		t.Error(err)
	}
}

// While OAUTH2_JWT_SECRET is changed, a replica with the old one alone makes keys: one that has both seals them, so that the old one can go.
func TestUpkeepSealsWhatOthersMade(t *testing.T) {
	db := &memory{keys: complete(t, secrets(t, oldText), ES256)}
	both := secrets(t, newText+","+oldText)
	if err := Upkeep(t.Context(), db, ring(t, both, ES256, db.keys), store.Actor{}, now); err != nil {
		t.Fatal(err)
	}
	if err := Upkeep(t.Context(), db, ring(t, both, ES256, db.keys), store.Actor{}, now); err != nil || !slices.Equal(db.actions, []string{"keys.seal"}) {
		t.Errorf("did %v, %v; want that it sealed, once", db.actions, err)
	}
	if err := ring(t, secrets(t, newText), ES256, db.keys).Ready(); err != nil {
		t.Error(err)
	}
}

func TestUpkeepReportsFaults(t *testing.T) {
	s := secrets(t, newText)
	all := rotate(t, generate(t, s, ES256), s, ES256, now.Add(time.Hour), Rotation{})
	for _, stored := range [][]store.Key{nil, all} { // to be completed, to be retired
		db := &memory{keys: stored, changeErr: store.ErrUnavailable}
		err := Upkeep(t.Context(), db, ring(t, s, ES256, stored), store.Actor{}, now.Add(30*24*time.Hour))
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
}

func TestListTellsSinceAndUntil(t *testing.T) {
	s := secrets(t, newText)
	at := now.Add(time.Hour)
	all := rotate(t, generate(t, s, ES256), s, ES256, at, Rotation{})
	all = append(all, enter(all[0], store.KeyRetired, at))
	all[len(all)-1].ID = store.NewID(at)
	for _, k := range ring(t, s, ES256, all).List() {
		if !k.Since.Equal(at) || k.Until.IsZero() == (k.State == store.KeyRetiring) || k.Secrets == nil {
			t.Errorf("got %+v", k)
		}
	}
	old := all[1]
	old.Since = time.Time{}
	if got := ring(t, s, ES256, []store.Key{old}).List()[0].Since; !got.Equal(old.Created) {
		t.Errorf("got %v, want the time of its making", got)
	}
}
