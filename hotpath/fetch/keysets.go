package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"oauth2-server/store"
)

const (
	quiet   = 30 * time.Second // between two fetches for a client, whatever its assertions say
	keySpan = 5 * time.Minute  // after which a set is fetched again, to learn of keys that were withdrawn
	maxKeys = 20               // of a set: each may have to be tried
)

// KeySets is the keys that clients publish (RFC 7517 §5). It is safe for concurrent use. A set is kept for the client that named
// it: no client's key passes for another's.
type KeySets struct {
	client *Client
	now    func() time.Time
	mu     sync.Mutex
	sets   map[string]*keySet // by client
}

// keySet is what is known of a client's keys. All of it is guarded by the mutex of [KeySets].
type keySet struct {
	uri    string
	keys   []jose.JSONWebKey
	read   time.Time     // when keys were; zero: never
	tried  time.Time     // when the last fetch began
	flight chan struct{} // closed when the fetch under way ends; nil: there is none
	fault  error         // of the last fetch
}

// NewKeySets makes an empty one.
func NewKeySets(client *Client) *KeySets {
	return &KeySets{client: client, now: time.Now, sets: map[string]*keySet{}}
}

// Keys is the keys of the client behind the URI. They are fetched again when none of them has the id, which is waited
// for, or when they are old, which is not; at most every 30 seconds for a client, once for all who ask meanwhile. Where that fails the previous
// ones stay. kid may be "". [store.ErrUnavailable]: none were ever read.
func (k *KeySets) Keys(ctx context.Context, client, uri, kid string) ([]jose.JSONWebKey, error) {
	set, flight := k.look(client, uri, kid)
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, fmt.Errorf("await key set: %w (%w)", ctx.Err(), store.ErrUnavailable)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if set.read.IsZero() {
		return nil, fmt.Errorf("fetch key set: %w (%w)", set.fault, store.ErrUnavailable)
	}
	return set.keys, nil
}

// look finds the set, begins a fetch if one is due, and returns what has to be waited for.
func (k *KeySets) look(client, uri, kid string) (set *keySet, flight <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	set, now := k.sets[client], k.now()
	if set == nil || set.uri != uri {
		set = &keySet{uri: uri}
		k.sets[client] = set
	}
	lacks := set.read.IsZero() || kid != "" && !slices.ContainsFunc(set.keys, func(key jose.JSONWebKey) bool { return key.KeyID == kid })
	if set.flight == nil && (lacks || now.Sub(set.read) >= keySpan) && now.Sub(set.tried) >= quiet {
		set.tried, set.flight = now, make(chan struct{})
		go k.fetch(set)
	}
	if !lacks {
		return set, nil
	}
	return set, set.flight
}

// fetch reads the set again. It is nobody's request, so nobody who leaves ends it; the client's deadline does.
func (k *KeySets) fetch(set *keySet) {
	keys, err := k.read(set.uri)
	k.mu.Lock()
	defer k.mu.Unlock()
	if set.fault = err; err == nil {
		set.keys, set.read = keys, k.now()
	}
	close(set.flight)
	set.flight = nil
}

func (k *KeySets) read(uri string) ([]jose.JSONWebKey, error) {
	body, err := k.client.Get(context.Background(), uri)
	if err != nil {
		return nil, err
	}
	return parseKeys(body)
}

// parseKeys reads a key set. Keys of types that are not known are passed over (RFC 7517 §5).
func parseKeys(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil || set.Keys == nil {
		return nil, errors.New("read key set: it is no JSON Web Key Set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("read key set: it has more than %d keys", maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && key.Valid() && key.IsPublic() {
			keys = append(keys, key)
		}
	}
	return keys, nil
}
