package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"oauth2-server/store"
)

const (
	// lastToken is how long after its last day a key may be needed: an access token lives at most MaxTokenLife, and a replica
	// that the rotation has not reached yet may have made one a little later.
	lastToken = store.MaxTokenLife + time.Hour
	// lastRefresh is lastToken of MAC keys, which make refresh tokens: one that is not rotated, or not used, is good as long as its grant.
	lastRefresh = store.MaxRefreshTTL*time.Second + time.Hour
	// feedAhead is how long a next key is in the feed before it may be used. A replica that gives verdicts is at most a
	// second behind the feed, and one that is told of a key late must not meet its tokens before. No emergency is in such a hurry.
	feedAhead = 2 * time.Second
)

// A Rotation is what is to be rotated, and how.
type Rotation struct {
	Use       string        // store.UseSign, store.UseMAC, or "" for both
	Ahead     time.Duration // how long the next signing key must have been published; others keep the JWKS for some minutes
	Emergency bool          // the active key leaked: nothing that keys of the use made before is accepted any longer
}

// An EarlyError refuses a rotation: the next key is not published long enough.
type EarlyError struct {
	Use string    // of the key
	At  time.Time // when it may be done
	Now bool      // an emergency rotation need not wait for that
}

func (e *EarlyError) Error() string {
	at := e.At.Add(time.Second - 1).UTC().Format("2006-01-02 15:04:05 UTC") // whole seconds, and then it is true
	text := fmt.Sprintf("the next %s key is not published long enough: it may be used from %s on", e.Use, at)
	if e.Now {
		text += "; --emergency does not wait, but makes inactive all that the old keys made: it is for a key that leaked"
	}
	return text
}

// ErrShared refuses to rotate what is not in the ring, where nothing else is to be rotated.
var ErrShared = errors.New(`HS256 keys are not in the ring: HS256 itself is changed by the secret: put a new secret before the old one in OAUTH2_JWT_SECRET, "new,old", or in the place of ` +
	"a secret that leaked; --use mac rotates the keys of opaque tokens")

// The steps of the life of a key: which state follows on which. A state that has none stays.
var (
	ordinary = map[string]string{store.KeyActive: store.KeyRetiring, store.KeyNext: store.KeyActive}
	// Retiring keys go as well: whoever got at the active one got at those that lie beside it, and one that verifies is as
	// good to a forger. The next one lies there too, but it is what others know to sign: a second emergency retires it.
	emergency = map[string]string{store.KeyActive: store.KeyRetired, store.KeyRetiring: store.KeyRetired, store.KeyNext: store.KeyActive}
	// Of an algorithm that was changed for another no key signs any more: the next one has made nothing.
	leftover = map[string]string{store.KeyActive: store.KeyRetiring, store.KeyNext: store.KeyRetired}
)

// Rotate is the keys of all that a rotation changes or makes: active → retiring (an emergency: active and retiring →
// retired), next → active, and a new next one. alg is the one that the servers sign with. now is the store's clock.
//
// Signing keys of other algorithms that sign id_tokens ([IDTokenAlgs]) are rotated like the server's own, also where that is HS256, whose
// keys follow from the secret and are no part of this. Those of the others,
// left over from a change of OAUTH2_JWT_ALG, begin to retire with the first rotation
// after the change: it can be no earlier than [Rotation].Ahead, when every replica signs with the new one. An emergency
// rotates them too, as it may come while some replicas still sign with them.
//
// Errors: [EarlyError], [ErrShared], and a ring that is not complete (see [Ensure]).
func Rotate(all []store.Key, secrets Secrets, alg Alg, now time.Time, r Rotation) ([]store.Key, error) {
	if err := r.check(all, alg); err != nil {
		return nil, err
	}
	if err := r.early(all, alg, now); err != nil {
		return nil, err
	}
	var changed []store.Key
	for _, key := range all {
		if state, ok := r.steps(&key, alg)[key.State]; ok {
			changed = append(changed, enter(key, state, now))
		}
	}
	for _, key := range changed {
		if key.State != store.KeyActive {
			continue
		}
		next, err := successor(&key, secrets, now, all)
		if err != nil {
			return nil, err
		}
		changed = append(changed, next)
	}
	return changed, nil
}

// check refuses what cannot be done at any time.
func (r Rotation) check(all []store.Key, alg Alg) error {
	switch {
	case r.Use != "" && r.Use != store.UseSign && r.Use != store.UseMAC:
		return fmt.Errorf("rotate keys: use %q is neither %s nor %s", r.Use, store.UseSign, store.UseMAC)
	case alg == HS256 && (r.Use == store.UseSign || r.Use == "" && r.Emergency) && !signs(all):
		return ErrShared
	}
	for _, p := range []struct{ use, alg string }{{store.UseSign, string(alg)}, {store.UseMAC, store.AlgMAC}} {
		if r.Use != "" && r.Use != p.use || p.alg == string(HS256) {
			continue
		}
		if !has(all, p.use, p.alg, store.KeyActive) || !has(all, p.use, p.alg, store.KeyNext) {
			return fmt.Errorf("the ring has no active and next %s key: a server makes them at its start; OAUTH2_JWT_ALG must be the same here and there", p.alg)
		}
	}
	return nil
}

// signs reports whether the ring has a key that signs: beside HS256 there are those of id_tokens.
func signs(all []store.Key) bool {
	return slices.ContainsFunc(all, func(key store.Key) bool { return key.Use == store.UseSign && key.State == store.KeyActive })
}

// steps is what the rotation does to a key, nil when it is of another use.
func (r Rotation) steps(key *store.Key, alg Alg) map[string]string {
	switch {
	case r.Use != "" && r.Use != key.Use:
		return nil
	case r.Emergency:
		return emergency
	case key.Use == store.UseSign && key.Alg != string(alg) && !slices.Contains(idTokenAlgs, Alg(key.Alg)):
		return leftover
	}
	return ordinary
}

// wait is how long a next key must have been published.
func (r Rotation) wait(key *store.Key) time.Duration {
	if r.Emergency || key.Use != store.UseSign { // nobody outside verifies with a MAC key
		return feedAhead
	}
	return max(r.Ahead, feedAhead)
}

// early refuses keys that are not published long enough, for the sake of the one that takes longest.
func (r Rotation) early(all []store.Key, alg Alg, now time.Time) error {
	latest := EarlyError{At: now}
	for _, key := range all {
		at := r.Earliest(&key)
		if r.steps(&key, alg)[key.State] == store.KeyActive && at.After(latest.At) {
			latest = EarlyError{Use: key.Use, At: at, Now: !r.Emergency && r.wait(&key) > feedAhead}
		}
	}
	if latest.Use == "" {
		return nil
	}
	return &latest
}

// Earliest is from when on the rotation may put a next key in the place of the active one.
func (r Rotation) Earliest(key *store.Key) time.Time { return since(key).Add(r.wait(key)) }

// since is when a key came into its state.
func since(key *store.Key) time.Time {
	if key.Since.IsZero() {
		return key.Created
	}
	return key.Since
}

// enter is the key in another state. A retired one keeps its name and loses its private part, which nothing needs.
func enter(key store.Key, state string, now time.Time) store.Key {
	key = key.Clone()
	key.State, key.Since, key.Until = state, now, time.Time{}
	switch state {
	case store.KeyRetiring:
		key.Until = now.Add(needed(&key))
	case store.KeyRetired:
		key = key.Masked()
	}
	return key
}

// needed is how long a key verifies after its last day.
func needed(key *store.Key) time.Duration {
	if key.Use == store.UseMAC {
		return lastRefresh
	}
	return lastToken
}

// successor is a new next key for one that became active. The ring as it was says which numbers are taken: more than there are.
func successor(key *store.Key, secrets Secrets, now time.Time, all []store.Key) (store.Key, error) {
	if key.Use == store.UseSign {
		return generateSign(secrets, Alg(key.Alg), store.KeyNext, now)
	}
	number, err := freeNumber(all)
	if err != nil {
		return store.Key{}, err
	}
	return generateMAC(secrets, number, store.KeyNext, now), nil
}

// RotateStored is Rotate of the stored ring, and returns what it changed and made. now is the store's clock. Of
// rotations at once the first is done; to the others the next key is too new: [EarlyError]. [store.ErrUnavailable].
func RotateStored(ctx context.Context, db Store, actor store.Actor, secrets Secrets, alg Alg, now time.Time, r Rotation) ([]store.Key, error) {
	var changed []store.Key
	err := change(ctx, db, actor, "keys.rotate", func(all []store.Key) (_ []store.Key, err error) {
		if err := opensCurrent(all, secrets); err != nil {
			return nil, err
		}
		changed, err = Rotate(all, secrets, alg, now, r)
		return changed, err
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// opensCurrent refuses secrets that open none of the keys in use: no server of the ring could use what they seal. [ErrSealed].
func opensCurrent(all []store.Key, secrets Secrets) error {
	var fault error
	for _, key := range all {
		if !slices.Contains(stocked[:], key.State) {
			continue
		}
		_, err := unseal(&key, secrets)
		if err == nil {
			return nil
		}
		fault = fmt.Errorf("%s key %s (%s): %w", key.Use, key.ID, key.State, err)
	}
	return fault
}

// Retire is the retiring keys whose last token is dead, as retired.
func Retire(all []store.Key, now time.Time) []store.Key {
	var due []store.Key
	for _, key := range all {
		if key.State == store.KeyRetiring && !now.Before(key.Until) {
			due = append(due, enter(key, store.KeyRetired, now))
		}
	}
	return due
}

// Upkeep does what has become due in the stored ring, as far as ring, which follows it, tells: it retires keys, makes
// those that this replica lacks to sign (a first start's, of id_tokens, or a ring that was reset by somebody with another OAUTH2_JWT_ALG), and
// seals for the first secret those that a replica with the old one alone has made meanwhile. When nothing is
// due it touches no store. Replicas may do it at once: the first does it. now is the store's clock. [store.ErrUnavailable].
func Upkeep(ctx context.Context, db Store, ring *Ring, actor store.Actor, now time.Time) error {
	if ring.Ready() != nil {
		if _, err := Ensure(ctx, db, actor, ring.secrets, ring.alg, now); err != nil {
			return fmt.Errorf("complete the ring: %w", err)
		}
	}
	if ring.lacksIDTokens() {
		if err := EnsureIDTokens(ctx, db, actor, ring.secrets, now); err != nil {
			return err
		}
	}
	if len(Missing(ring.stored(), ring.secrets)) > 0 {
		if err := sealStored(ctx, db, actor, ring.secrets); err != nil {
			return err
		}
	}
	if !ring.due(now) {
		return nil
	}
	err := change(ctx, db, actor, "keys.retire", func(all []store.Key) ([]store.Key, error) { return Retire(all, now), nil })
	if err != nil {
		return fmt.Errorf("retire keys: %w", err)
	}
	return nil
}
