package keys

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"oauth2-server/store"
)

// Store is what the ring needs of the store; storetest.Store says what each method promises.
type Store interface {
	Keys(ctx context.Context) ([]store.Key, error)
	ChangeKeys(ctx context.Context, actor store.Actor, action string, change func(all []store.Key) ([]store.Key, error)) error
}

// maxPasses bounds how often a change is tried again that met another one.
const maxPasses = 10

// change is ChangeKeys, tried again while others are faster: decide sees what they did.
func change(ctx context.Context, db Store, actor store.Actor, action string, decide func(all []store.Key) ([]store.Key, error)) error {
	for range maxPasses {
		err := db.ChangeKeys(ctx, actor, action, decide)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("change keys: still another's change after %d passes: %w", maxPasses, store.ErrConflict)
}

// Ensure makes the stored ring complete (see [Generate]), adds the seals that
// the first secret lacks (see [Missing]), and returns all keys. Of replicas
// that start at once one adds its keys; the others find them and take them.
func Ensure(ctx context.Context, db Store, actor store.Actor, secrets Secrets, alg Alg, now time.Time) ([]store.Key, error) {
	err := change(ctx, db, actor, "keys.add", func(all []store.Key) ([]store.Key, error) { return Generate(secrets, alg, now, all) })
	if err != nil {
		return nil, fmt.Errorf("add keys: %w", err)
	}
	if err := sealStored(ctx, db, actor, secrets); err != nil {
		return nil, err
	}
	all, err := db.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return all, nil
}

// sealStored adds the seals that the first secret lacks.
func sealStored(ctx context.Context, db Store, actor store.Actor, secrets Secrets) error {
	err := change(ctx, db, actor, "keys.seal", func(all []store.Key) ([]store.Key, error) { return Missing(all, secrets), nil })
	if err != nil {
		return fmt.Errorf("seal keys: %w", err)
	}
	return nil
}

// ForgetSecrets takes the seals of secrets that are not given from the stored ring ([Surplus]). No server may need them any more. [store.ErrUnavailable].
func ForgetSecrets(ctx context.Context, db Store, actor store.Actor, secrets Secrets) error {
	err := change(ctx, db, actor, "keys.forget_secrets", func(all []store.Key) ([]store.Key, error) { return Surplus(all, secrets), nil })
	if err != nil {
		return fmt.Errorf("take seals of old secrets from keys: %w", err)
	}
	return nil
}

// Generate makes what a fresh or incomplete ring lacks beside existing: an
// active and a next key that sign with alg (none for HS256, whose keys are not
// stored) and an active and a next MAC key, sealed under the first secret.
func Generate(secrets Secrets, alg Alg, now time.Time, existing []store.Key) ([]store.Key, error) {
	var fresh []store.Key
	for _, state := range stocked {
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

// stocked is the states in which there is always a key.
var stocked = [...]string{store.KeyActive, store.KeyNext}

// GenerateIDTokens makes what the ring lacks to sign id_tokens beside existing: an active and a next key of each algorithm
// ([IDTokenAlgs]). An RSA key takes a tenth of a second or more of a core.
func GenerateIDTokens(secrets Secrets, now time.Time, existing []store.Key) ([]store.Key, error) {
	var fresh []store.Key
	for _, alg := range idTokenAlgs {
		for _, state := range stocked {
			if has(existing, store.UseSign, string(alg), state) {
				continue
			}
			key, err := generateSign(secrets, alg, state, now)
			if err != nil {
				return nil, err
			}
			fresh = append(fresh, key)
		}
	}
	return fresh, nil
}

// EnsureIDTokens adds what the stored ring lacks to sign id_tokens. The keys are made before the store is locked, and a
// server makes them behind its start ([Upkeep]), not in it: nobody waits for RSA.
func EnsureIDTokens(ctx context.Context, db Store, actor store.Actor, secrets Secrets, now time.Time) error {
	all, err := db.Keys(ctx)
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	fresh, err := GenerateIDTokens(secrets, now, all)
	if err != nil || len(fresh) == 0 {
		return err
	}
	err = change(ctx, db, actor, "keys.add", func(all []store.Key) ([]store.Key, error) {
		return slices.DeleteFunc(slices.Clone(fresh), func(key store.Key) bool { // another replica may have been faster
			return has(all, key.Use, key.Alg, key.State)
		}), nil
	})
	if err != nil {
		return fmt.Errorf("add keys of id_tokens: %w", err)
	}
	return nil
}

func has(keys []store.Key, use, alg, state string) bool {
	for _, key := range keys {
		if key.Use == use && key.Alg == alg && key.State == state {
			return true
		}
	}
	return false
}

// freeNumber is the lowest key byte that no key has or had. When there is none left it is the one that was given up first:
// its tokens are long dead, and a forger's would not pass the new key.
func freeNumber(lists ...[]store.Key) (int, error) {
	var used [256]bool
	var freed [256]time.Time // when the number's last key was retired
	for _, key := range slices.Concat(lists...) {
		if key.Use != store.UseMAC {
			continue
		}
		number := byte(key.Number)
		used[number] = used[number] || key.State != store.KeyRetired
		if at := since(&key); at.After(freed[number]) {
			freed[number] = at
		}
	}
	best := 0
	for number := 1; number < len(used); number++ {
		if !used[number] && (best == 0 || freed[number].Before(freed[best])) {
			best = number
		}
	}
	if best == 0 {
		return 0, errors.New("generate key: all 255 numbers of MAC keys are in use")
	}
	return best, nil
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
	key := store.Key{ID: store.NewID(now), Use: store.UseSign, Alg: string(alg), State: state, Public: public, Created: now, Since: now}
	return sealed(key, secrets, private), nil
}

func generateMAC(secrets Secrets, number int, state string, now time.Time) store.Key {
	private := make([]byte, 32)
	rand.Read(private) // never fails: the runtime aborts instead
	key := store.Key{ID: store.NewID(now), Number: number, Use: store.UseMAC, Alg: store.AlgMAC, State: state, Created: now, Since: now}
	return sealed(key, secrets, private)
}

// sealed is key with its private part sealed under the first secret.
func sealed(key store.Key, secrets Secrets, private []byte) store.Key {
	first := &secrets.all()[0]
	key.Seals = map[string][]byte{first.fingerprint: seal(&key, first, private)}
	return key
}
