package keys

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"oauth2-server/store"
)

// A Ring is the keys in use. Look-ups never wait, allocate nothing, and see
// one state of the ring at a time.
type Ring struct {
	secrets Secrets
	alg     Alg
	mu      sync.Mutex // held by whoever makes the next snapshot
	now     atomic.Pointer[snapshot]
}

// snapshot is one immutable state of the ring.
type snapshot struct {
	entries   map[store.ID]entry
	macs      [256]*MAC
	mac       *MAC
	signer    *Signer              // of the ring's algorithm
	signers   map[Alg]*Signer      // the active ones of stored keys
	verifiers map[string]*Verifier // by the encoded header of their access tokens
	hints     map[string]*Verifier // likewise of their id_tokens
	jwks      *JWKS
	whole     bool // every key that is not retired was opened
}

// entry is one stored key and what was opened of it: at most one of mac and signer.
type entry struct {
	key    store.Key
	mac    *MAC
	signer *Signer
}

// NewRing returns a ring without stored keys, whose tokens are signed with alg.
func NewRing(secrets Secrets, alg Alg) *Ring {
	r := &Ring{secrets: secrets, alg: alg}
	r.now.Store(r.newSnapshot(map[store.ID]entry{}))
	return r
}

// Apply takes over keys that were created or changed; others stay. What can be
// opened is in use when it returns; the error names the keys that cannot
// ([ErrSealed]) and never keeps the others from working.
func (r *Ring) Apply(keys []store.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.swap(maps.Clone(r.now.Load().entries), keys)
}

// Replace is Apply for the whole set: keys it does not name are forgotten.
func (r *Ring) Replace(keys []store.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.swap(map[store.ID]entry{}, keys)
}

// Try sees whether the ring can live with other secrets, which take then puts in force: here and, of [Secrets], in every copy
// of those it was made with. A key that is open now and that none of them opens refuses them all ([ErrSealed]): nothing
// that was issued becomes invalid. Keys want the seals of the first one afterwards: see [Ensure].
func (r *Ring) Try(secrets Secrets) (take func(), err error) {
	for _, e := range r.now.Load().sorted() {
		if e.mac == nil && e.signer == nil {
			continue
		}
		if _, err := unseal(&e.key, secrets); err != nil {
			return nil, fmt.Errorf("%s key %s (%s): %w", e.key.Use, e.key.ID, e.key.State, err)
		}
	}
	return func() { r.take(secrets) }, nil
}

func (r *Ring) take(secrets Secrets) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets.now.Store(secrets.now.Load())
	entries := maps.Clone(r.now.Load().entries)
	for id, e := range entries {
		if e.mac != nil || e.signer != nil {
			continue // what is open stays so: a key that came after Try may be sealed by the old secrets alone
		}
		if opened, err := r.open(e.key); err == nil { // else it is as closed as it was, and that was told
			entries[id] = opened
		}
	}
	r.now.Store(r.newSnapshot(entries))
}

func (r *Ring) swap(entries map[store.ID]entry, keys []store.Key) error {
	var faults []error
	for _, key := range keys {
		opened, err := r.open(key.Clone())
		if err != nil {
			faults = append(faults, fmt.Errorf("open %s key %s (%s): %w", key.Use, key.ID, key.State, err))
		}
		entries[key.ID] = opened
	}
	r.now.Store(r.newSnapshot(entries))
	return errors.Join(faults...)
}

// open makes an entry of a stored key. A retired key needs no opening: nothing it made is accepted.
func (r *Ring) open(key store.Key) (entry, error) {
	e := entry{key: key}
	if key.State == store.KeyRetired {
		return e, nil
	}
	private, err := unseal(&key, r.secrets)
	if err != nil {
		return e, err
	}
	switch key.Use {
	case store.UseMAC:
		if key.Alg != store.AlgMAC || key.Number < 1 || key.Number > 255 {
			return e, errDamaged
		}
		e.mac = newMAC(&key, private)
	case store.UseSign:
		p, public, err := parsePair(Alg(key.Alg), private)
		if err != nil {
			return e, err
		}
		if !bytes.Equal(public, key.Public) {
			return e, fmt.Errorf("its public key %w", errDamaged)
		}
		e.signer = newSigner(key.ID, key.ID.String(), Alg(key.Alg), key.Created, p)
	default:
		return e, fmt.Errorf("use %q is unknown", key.Use)
	}
	return e, nil
}

// newSnapshot prepares every answer the ring gives. Keys come in the order of
// their ids, which is that of their making: of two active ones the newer wins.
func (r *Ring) newSnapshot(entries map[store.ID]entry) *snapshot {
	s := &snapshot{entries: entries, signers: map[Alg]*Signer{}, verifiers: map[string]*Verifier{}, hints: map[string]*Verifier{}, whole: true}
	var published []*Signer
	for _, e := range s.sorted() {
		s.whole = s.whole && (e.mac != nil || e.signer != nil || e.key.State == store.KeyRetired)
		if e.mac != nil {
			s.addMAC(e)
		}
		if e.signer != nil {
			published = append(published, e.signer)
			active := e.key.State == store.KeyActive
			s.addSigner(e.signer, active && Alg(e.key.Alg) == r.alg)
			s.hints[string(e.signer.HeaderOf(IDToken))] = &e.signer.Verifier
			if active {
				s.signers[Alg(e.key.Alg)] = e.signer
			}
		}
	}
	s.jwks = newJWKS(published)
	// Only a server that is told to use HS256 accepts it: whoever was given such a key can make tokens.
	if r.alg == HS256 {
		for i, shared := range r.secrets.HS256() {
			s.addSigner(shared.signer(), i == 0)
		}
	}
	return s
}

func (s *snapshot) addMAC(e entry) {
	s.macs[e.mac.Number] = e.mac
	if e.key.State == store.KeyActive {
		s.mac = e.mac
	}
}

func (s *snapshot) addSigner(signer *Signer, active bool) {
	s.verifiers[string(signer.Header())] = &signer.Verifier
	if active {
		s.signer = signer
	}
}

func (s *snapshot) sorted() []entry {
	return slices.SortedFunc(maps.Values(s.entries), func(a, b entry) int {
		return bytes.Compare(a.key.ID[:], b.key.ID[:])
	})
}

// MAC is the key of the number, nil when there is none or it is retired or cannot be opened.
func (r *Ring) MAC(number byte) *MAC { return r.now.Load().macs[number] }

// ActiveMAC is the key for new tokens, nil when there is none.
func (r *Ring) ActiveMAC() *MAC { return r.now.Load().mac }

// Signer is the active key of the ring's algorithm, nil when there is none.
func (r *Ring) Signer() *Signer { return r.now.Load().signer }

// SignerOf is the active stored key of an algorithm, nil when there is none. See [IDTokenAlgs].
func (r *Ring) SignerOf(alg Alg) *Signer { return r.now.Load().signers[alg] }

// Verifier is the key whose tokens begin with header, an encoded JWT segment;
// nil when there is none. Only headers that are byte for byte what a key of the
// ring writes are known, so no token chooses its algorithm (RFC 8725 §3.1).
func (r *Ring) Verifier(header []byte) *Verifier { return r.now.Load().verifiers[string(header)] }

// IDTokenVerifier is Verifier for id_tokens: no access token is one, and no id_token an access token.
func (r *Ring) IDTokenVerifier(header []byte) *Verifier { return r.now.Load().hints[string(header)] }

// JWKS is the public keys that sign, will sign or have signed. It changes only with the keys.
func (r *Ring) JWKS() *JWKS { return r.now.Load().jwks }

// Whole reports whether every key that is not retired was opened: then a token of an unknown key is none of ours.
func (r *Ring) Whole() bool { return r.now.Load().whole }

// Ready says what the ring lacks to issue access tokens; nil when nothing. Keys of id_tokens follow soon after a first start.
func (r *Ring) Ready() error {
	s := r.now.Load()
	if s.mac == nil {
		return errors.New("no active key for opaque tokens is open")
	}
	if s.signer == nil {
		return fmt.Errorf("no active %s key is open", r.alg)
	}
	return nil
}

// Age is how long ago the active key of a use was made, 0 when there is none or it is not stored.
func (r *Ring) Age(use string, now time.Time) time.Duration {
	s := r.now.Load()
	var created time.Time
	if use == store.UseMAC && s.mac != nil {
		created = s.mac.Created
	}
	if use == store.UseSign && s.signer != nil {
		created = s.signer.Created
	}
	if created.IsZero() {
		return 0
	}
	return now.Sub(created)
}

// A Listed is a key as it may be shown.
type Listed struct {
	ID      store.ID  `json:"id"` // the kid of a signing key
	Use     string    `json:"use"`
	Alg     string    `json:"alg"`
	Number  int       `json:"number,omitempty"` // the key byte of opaque tokens
	State   string    `json:"state"`
	Created time.Time `json:"created"`
	Since   time.Time `json:"since"`          // when it came into its state
	Until   time.Time `json:"until,omitzero"` // of a retiring key: when the last token it made is dead
	Secrets []string  `json:"secrets"`        // fingerprints of the secrets that open it
	Open    bool      `json:"open"`           // whether this server could open it
}

// due reports whether a key has to be retired.
func (r *Ring) due(now time.Time) bool {
	for _, e := range r.now.Load().entries {
		if len(Retire([]store.Key{e.key}, now)) > 0 {
			return true
		}
	}
	return false
}

// OldSecrets reports whether a key has a seal of a secret that is not given ([ForgetSecrets]).
func (r *Ring) OldSecrets() bool { return len(Surplus(r.stored(), r.secrets)) > 0 }

// stored is all keys as they are stored.
func (r *Ring) stored() (all []store.Key) {
	for _, e := range r.now.Load().entries {
		all = append(all, e.key)
	}
	return all
}

// lacksIDTokens reports whether an algorithm of id_tokens has no active or no next key, open here or not.
func (r *Ring) lacksIDTokens() bool {
	all := r.stored()
	for _, alg := range idTokenAlgs {
		for _, state := range stocked {
			if !has(all, store.UseSign, string(alg), state) {
				return true
			}
		}
	}
	return false
}

// List is the stored keys, oldest first.
func (r *Ring) List() []Listed {
	var list []Listed
	for _, e := range r.now.Load().sorted() {
		secrets := slices.AppendSeq([]string{}, maps.Keys(e.key.Seals)) // of a retired key none
		slices.Sort(secrets)
		list = append(list, Listed{
			ID: e.key.ID, Use: e.key.Use, Alg: e.key.Alg, Number: e.key.Number, State: e.key.State, Created: e.key.Created,
			Since: since(&e.key), Until: e.key.Until,
			Secrets: secrets, Open: e.mac != nil || e.signer != nil,
		})
	}
	return list
}
