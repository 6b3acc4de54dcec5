package keys

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"oauth2-server/store"
)

func TestGenerateCompletesARing(t *testing.T) {
	s := secrets(t, newText)
	f := func(alg Alg, want int) []store.Key {
		t.Helper()
		keys := generate(t, s, alg)
		if len(keys) != want {
			t.Errorf("%s: got %d keys, want %d", alg, len(keys), want)
		}
		if more := generate(t, s, alg, keys...); len(more) != 0 {
			t.Errorf("%s: a complete ring lacks %d keys", alg, len(more))
		}
		if err := ring(t, s, alg, keys).Ready(); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		return keys
	}
	for _, alg := range []Alg{EdDSA, RS256, PS256} {
		f(alg, 4)
	}
	f(HS256, 2)
	keys := f(ES256, 4)
	if more := generate(t, s, EdDSA, keys...); len(more) != 2 {
		t.Errorf("another algorithm needs %d keys, want 2", len(more))
	}
	if more := generate(t, s, ES256, keys[1:]...); len(more) != 1 || more[0].State != keys[0].State || more[0].Use != keys[0].Use {
		t.Errorf("got %d keys for one that lacks", len(more))
	}
}

func TestGenerateTakesUnusedNumbersFirst(t *testing.T) {
	s := secrets(t, newText)
	var existing []store.Key
	for number := 1; number <= 255; number++ {
		if number != 7 && number != 200 {
			retired := now.Add(-time.Duration(number) * time.Hour)
			existing = append(existing, store.Key{Use: store.UseMAC, Alg: store.AlgMAC, Number: number, State: store.KeyRetired, Since: retired})
		}
	}
	f := func(first, second int) {
		t.Helper()
		keys := generate(t, s, HS256, existing...)
		if keys[0].Number != first || keys[1].Number != second {
			t.Errorf("got %d and %d, want %d and %d", keys[0].Number, keys[1].Number, first, second)
		}
	}
	f(7, 200)
	for _, number := range []int{7, 200} {
		existing = append(existing, store.Key{Use: store.UseMAC, Number: number, State: store.KeyRetiring})
	}
	f(255, 254) // retired first
	existing = append(existing, store.Key{Use: store.UseMAC, Number: 255, State: store.KeyRetired, Since: now})
	f(254, 253) // 255 was used again meanwhile
	for i := range existing {
		existing[i].State = store.KeyRetiring
	}
	if _, err := Generate(s, HS256, now, existing); err == nil {
		t.Error("a 256th MAC key was made")
	}
}

func TestEnsureAtOnceAgreesOnOneSetOfKeys(t *testing.T) {
	db := &memory{}
	s := secrets(t, newText)
	var group sync.WaitGroup
	results := make([][]store.Key, 8)
	for i := range results {
		group.Go(func() {
			keys, err := Ensure(t.Context(), db, store.Actor{}, s, ES256, now)
			if err != nil {
				t.Error(err)
			}
			results[i] = keys
		})
	}
	group.Wait()
	if len(db.keys) != 4 {
		t.Fatalf("got %d keys, want 4", len(db.keys))
	}
	want := ring(t, s, ES256, db.keys)
	for i, keys := range results {
		r := ring(t, s, ES256, keys)
		if r.Signer().Key != want.Signer().Key || r.ActiveMAC().Key != want.ActiveMAC().Key {
			t.Errorf("replica %d took other keys", i)
		}
	}
}

func TestEnsureTakesTheKeysOfWhoWasFirst(t *testing.T) {
	s := secrets(t, newText)
	db := &memory{rival: generate(t, s, ES256)}
	keys, err := Ensure(t.Context(), db, store.Actor{}, s, ES256, now)
	if err != nil || len(keys) != 4 || keys[0].ID != db.keys[0].ID {
		t.Errorf("got %d keys, %v", len(keys), err)
	}
}

func TestEnsureAddsSeals(t *testing.T) {
	db := &memory{keys: generate(t, secrets(t, oldText), ES256)}
	keys, err := Ensure(t.Context(), db, store.Actor{}, secrets(t, newText+","+oldText), ES256, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := ring(t, secrets(t, newText), ES256, keys).Ready(); err != nil {
		t.Error(err)
	}
	if err := ring(t, secrets(t, oldText), ES256, db.keys).Ready(); err != nil {
		t.Error(err)
	}
}

func TestEnsureLeavesForeignKeysAlone(t *testing.T) {
	db := &memory{keys: generate(t, secrets(t, oldText), ES256)}
	keys, err := Ensure(t.Context(), db, store.Actor{}, secrets(t, newText), ES256, now)
	if err != nil || len(keys) != 4 || len(keys[0].Seals) != 1 {
		t.Fatalf("got %d keys, %v", len(keys), err)
	}
	if err := NewRing(secrets(t, newText), ES256).Apply(keys); !errors.Is(err, ErrSealed) {
		t.Errorf("got %v, want ErrSealed", err)
	}
}

func TestEnsureReportsFaults(t *testing.T) {
	f := func(db *memory, want error) {
		t.Helper()
		if _, err := Ensure(t.Context(), db, store.Actor{}, secrets(t, newText), ES256, now); !errors.Is(err, want) || err == nil {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	f(&memory{readErr: store.ErrUnavailable}, store.ErrUnavailable)
	f(&memory{changeErr: store.ErrUnavailable}, store.ErrUnavailable)
	endless := &memory{changeErr: store.ErrConflict}
	if _, err := Ensure(t.Context(), endless, store.Actor{}, secrets(t, newText), ES256, now); err == nil {
		t.Error("conflicts without end are no error")
	}
}

// memory keeps keys as storetest.Store demands.
type memory struct {
	mu                 sync.Mutex
	keys               []store.Key
	actions            []string    // of the changes that were made
	asked              int         // how often it was asked for a change
	rival              []store.Key // the ring as another replica leaves it just before
	readErr, changeErr error
}

func (m *memory) Keys(context.Context) ([]store.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []store.Key
	for _, key := range m.keys {
		keys = append(keys, key.Clone())
	}
	return keys, m.readErr
}

func (m *memory) ChangeKeys(_ context.Context, _ store.Actor, action string, change func([]store.Key) ([]store.Key, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	changed, err := change(m.keys)
	if err != nil || len(changed) == 0 {
		return err
	}
	if m.rival != nil {
		m.keys, m.rival = m.rival, nil
		return store.ErrConflict
	}
	if m.changeErr == nil {
		m.keys, m.actions = joined(m.keys, changed), append(m.actions, action)
	}
	return m.changeErr
}
