package keys

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"oauth2-server/store"
)

// ErrSealed means that none of the given secrets opens a key. Its text names both ways out.
var ErrSealed = errors.New(`none of the secrets given opens it; give the old secret too, as "new,old" in OAUTH2_JWT_SECRET, ` +
	"or run `oauth2-server keys reset`, which revokes everything")

// errDamaged means that a seal of ours holds what it should not: the row was altered.
var errDamaged = errors.New("is damaged")

// Missing is the keys that lack a seal of the first secret and that another of
// the secrets opens, with that seal added. With it the old secret can be dropped; the old
// seals stay, so that replicas which have only the old secret keep working meanwhile, until [ForgetSecrets].
func Missing(keys []store.Key, secrets Secrets) []store.Key {
	var resealed []store.Key
	first := &secrets.all()[0]
	for _, key := range keys {
		if key.Seals[first.fingerprint] != nil || key.State == store.KeyRetired {
			continue
		}
		private, err := unseal(&key, secrets)
		if err != nil {
			continue // Apply reports it
		}
		key = key.Clone()
		key.Seals[first.fingerprint] = seal(&key, first, private)
		resealed = append(resealed, key)
	}
	return resealed
}

// Surplus is the keys that one of the secrets opens and another one as well, which is not given, without the seals of
// that. With them gone an old secret that leaked is worth nothing beside a copy of the database.
func Surplus(keys []store.Key, secrets Secrets) []store.Key {
	given := secrets.Fingerprints()
	var bare []store.Key
	for _, key := range keys {
		next := key.Clone()
		maps.DeleteFunc(next.Seals, func(name string, _ []byte) bool { return !slices.Contains(given, name) })
		if len(next.Seals) == len(key.Seals) {
			continue
		}
		if _, err := unseal(&next, secrets); err == nil { // else the key would be lost
			bare = append(bare, next)
		}
	}
	return bare
}

// seal seals a private part under a secret.
func seal(key *store.Key, by *secret, private []byte) []byte {
	return by.aead.Seal(nil, nil, private, identity(key))
}

// unseal opens the private part with the first secret that has a seal.
func unseal(key *store.Key, secrets Secrets) ([]byte, error) {
	for _, one := range secrets.all() {
		sealed := key.Seals[one.fingerprint]
		if sealed == nil {
			continue
		}
		private, err := one.aead.Open(nil, nil, sealed, identity(key))
		if err != nil {
			return nil, fmt.Errorf("its seal of secret %s %w", one.fingerprint, errDamaged)
		}
		return private, nil
	}
	return nil, ErrSealed
}

// identity is what a seal is bound to: all of a key that never changes. A seal
// moved to another row, or a row given another algorithm, does not open.
func identity(key *store.Key) []byte {
	b := append([]byte(nil), key.ID[:]...)
	b = append(b, byte(key.Number))
	b = append(b, key.Use...)
	b = append(b, 0)
	return append(b, key.Alg...)
}
