package keys

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"oauth2-server/store"
)

// Store is what Ensure needs of the store; storetest.Store says what each method promises.
type Store interface {
	Keys(ctx context.Context) ([]store.Key, error)
	AddKeys(ctx context.Context, actor store.Actor, keys []store.Key) error
	SealKey(ctx context.Context, actor store.Actor, id store.ID, fingerprint string, sealed []byte) error
}

// maxPasses bounds how often Ensure reads again. Three do: add, seal, find nothing to do.
const maxPasses = 10

// Ensure makes the stored ring complete (see [Generate]), adds the seals that
// the first secret lacks (see [Missing]), and returns all keys. Of replicas
// that start at once one adds its keys; the others find them and take them.
func Ensure(ctx context.Context, db Store, actor store.Actor, secrets Secrets, alg Alg, now time.Time) ([]store.Key, error) {
	for range maxPasses {
		all, err := db.Keys(ctx)
		if err != nil {
			return nil, fmt.Errorf("read keys: %w", err)
		}
		changed, err := complete(ctx, db, actor, all, secrets, alg, now)
		if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
			continue // another replica was first: read what it did
		}
		if err != nil || !changed {
			return all, err
		}
	}
	return nil, fmt.Errorf("complete keys: still changing after %d passes", maxPasses)
}

// complete does what is due and reports whether it changed anything.
func complete(ctx context.Context, db Store, actor store.Actor, all []store.Key, secrets Secrets, alg Alg, now time.Time) (changed bool, err error) {
	fresh, err := Generate(secrets, alg, now, all)
	if err != nil {
		return false, err
	}
	if len(fresh) > 0 {
		if err := db.AddKeys(ctx, actor, fresh); err != nil {
			return false, fmt.Errorf("add keys: %w", err)
		}
		return true, nil
	}
	for _, s := range Missing(all, secrets) {
		if err := db.SealKey(ctx, actor, s.Key, s.Fingerprint, s.Sealed); err != nil {
			return false, fmt.Errorf("seal key %s: %w", s.Key, err)
		}
		changed = true
	}
	return changed, nil
}

// Generate makes what a fresh or incomplete ring lacks beside existing: an
// active and a next key that sign with alg (none for HS256, whose keys are not
// stored) and an active and a next MAC key, sealed under the first secret.
func Generate(secrets Secrets, alg Alg, now time.Time, existing []store.Key) ([]store.Key, error) {
	var fresh []store.Key
	for _, state := range []string{store.KeyActive, store.KeyNext} {
		if alg != HS256 && !has(existing, store.UseSign, string(alg), state) {
			key, err := generateSign(secrets, alg, state, now)
			if err != nil {
				return nil, err
			}
			fresh = append(fresh, key)
		}
		if !has(existing, store.UseMAC, store.AlgMAC, state) {
			number, err := freeNumber(existing, fresh)
			if err != nil {
				return nil, err
			}
			fresh = append(fresh, generateMAC(secrets, number, state, now))
		}
	}
	return fresh, nil
}

func has(keys []store.Key, use, alg, state string) bool {
	for _, key := range keys {
		if key.Use == use && key.Alg == alg && key.State == state {
			return true
		}
	}
	return false
}

// freeNumber is the lowest key byte that no key has or had: retired keys still hold theirs.
func freeNumber(lists ...[]store.Key) (int, error) {
	var used [256]bool
	for _, list := range lists {
		for _, key := range list {
			if key.Use == store.UseMAC {
				used[byte(key.Number)] = true
			}
		}
	}
	for number := 1; number < len(used); number++ {
		if !used[number] {
			return number, nil
		}
	}
	return 0, errors.New("generate key: all 255 numbers of MAC keys are in use")
}

func generateSign(secrets Secrets, alg Alg, state string, now time.Time) (store.Key, error) {
	signer, err := generatePrivate(alg)
	if err != nil {
		return store.Key{}, fmt.Errorf("generate %s key: %w", alg, err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return store.Key{}, fmt.Errorf("encode private %s key: %w", alg, err)
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return store.Key{}, fmt.Errorf("encode public %s key: %w", alg, err)
	}
	key := store.Key{ID: store.NewID(now), Use: store.UseSign, Alg: string(alg), State: state, Public: public, Created: now}
	return sealed(key, secrets, private), nil
}

func generateMAC(secrets Secrets, number int, state string, now time.Time) store.Key {
	private := make([]byte, 32)
	rand.Read(private) // never fails: the runtime aborts instead
	key := store.Key{ID: store.NewID(now), Number: number, Use: store.UseMAC, Alg: store.AlgMAC, State: state, Created: now}
	return sealed(key, secrets, private)
}

// sealed is key with its private part sealed under the first secret.
func sealed(key store.Key, secrets Secrets, private []byte) store.Key {
	key.Seals = map[string][]byte{secrets.all()[0].fingerprint: seal(&key, secrets, private)}
	return key
}
