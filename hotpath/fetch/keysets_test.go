package fetch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"oauth2-server/store"
)

// publisher is a client that publishes its keys, and the sets that are made of them.
type publisher struct {
	t      *testing.T
	sets   *KeySets
	url    string
	mu     sync.Mutex
	clock  time.Time
	body   string // "": it fails
	asked  atomic.Int64
	before func() // of an answer
}

func publish(t *testing.T, kids ...string) *publisher {
	t.Helper()
	p := &publisher{t: t, clock: time.Now()}
	client, url := other(t, func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		p.mu.Lock()
		body, before := p.body, p.before
		p.mu.Unlock()
		if before != nil {
			before()
		}
		if body == "" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(body)) // the client is a test's
	})
	p.sets, p.url = NewKeySets(client), url
	p.sets.now = func() time.Time { p.mu.Lock(); defer p.mu.Unlock(); return p.clock }
	p.put(kids...)
	return p
}

// put changes what is published; without a kid it fails.
func (p *publisher) put(kids ...string) {
	p.t.Helper()
	var set jose.JSONWebKeySet
	for _, kid := range kids {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			p.t.Fatal(err)
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: kid})
	}
	body, err := json.Marshal(set)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.body = string(body); len(kids) == 0 {
		p.body = ""
	}
}

func (p *publisher) pass(d time.Duration) { p.mu.Lock(); defer p.mu.Unlock(); p.clock = p.clock.Add(d) }

// want asks for the key, and wants to find these, with so many fetches until now.
func (p *publisher) want(kid string, fetches int64, kids ...string) {
	p.t.Helper()
	keys, err := p.sets.Keys(p.t.Context(), "app", p.url, kid)
	if (err != nil) != (kids == nil) || err != nil && !errors.Is(err, store.ErrUnavailable) {
		p.t.Fatalf("got %v", err)
	}
	if len(keys) != len(kids) {
		p.t.Fatalf("got %d keys, want %v", len(keys), kids)
	}
	for i, key := range keys {
		if key.KeyID != kids[i] {
			p.t.Errorf("got key %s, want %s", key.KeyID, kids[i])
		}
	}
	if got := p.asked.Load(); got != fetches {
		p.t.Errorf("asked %d times, want %d", got, fetches)
	}
}

// A new key of a client is found when it is first used, and nobody makes this server ask more than every 30 s.
func TestUnknownKeyFetchesOnceInHalfAMinute(t *testing.T) {
	p := publish(t, "a")
	p.want("a", 1, "a")
	p.want("a", 1, "a")
	p.want("", 1, "a")
	p.put("a", "b")
	p.want("b", 1, "a") // too soon
	p.pass(quiet)
	p.want("b", 2, "a", "b")
	for range 5 {
		p.want("forged", 2, "a", "b")
	}
	p.pass(quiet)
	p.want("forged", 3, "a", "b")
}

// A fetch that fails takes nothing away; where there is nothing yet it is a fault (promise P5), also for those who come before the next.
func TestFailedFetchKeepsTheSet(t *testing.T) {
	p := publish(t)
	p.want("a", 1)
	p.want("a", 1)
	p.pass(quiet)
	p.put("a")
	p.want("a", 2, "a")
	p.put()
	p.pass(quiet)
	p.want("b", 3, "a")
	p.want("a", 3, "a")
}

// Whoever asks while a fetch is under way waits for it.
func TestOneFetchForAll(t *testing.T) {
	p := publish(t, "a")
	arrived, answer := make(chan struct{}), make(chan struct{})
	p.before = func() { close(arrived); <-answer }
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { p.wantOne("a") })
	}
	<-arrived
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := p.sets.Keys(gone, "app", p.url, "a"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("who left got %v", err)
	}
	close(answer)
	group.Wait()
	if got := p.asked.Load(); got != 1 {
		t.Errorf("asked %d times", got)
	}
}

func (p *publisher) wantOne(kid string) {
	if keys, err := p.sets.Keys(p.t.Context(), "app", p.url, kid); err != nil || len(keys) != 1 {
		p.t.Errorf("got %d keys, %v", len(keys), err)
	}
}

// A key that was withdrawn ceases to count: an old set is read again, which nobody waits for.
func TestOldSetIsReadAgain(t *testing.T) {
	p := publish(t, "a", "b")
	p.want("a", 1, "a", "b")
	p.put("b")
	p.pass(keySpan)
	answered := make(chan struct{})
	p.before = func() { close(answered) }
	if keys, err := p.sets.Keys(t.Context(), "app", p.url, "a"); err != nil || len(keys) != 2 {
		t.Fatalf("got %d keys, %v", len(keys), err)
	}
	<-answered
	for { // until the answer is read
		keys, err := p.sets.Keys(t.Context(), "app", p.url, "b")
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 1 {
			break
		}
	}
}

// CVE-2026-49998: one client's key never passes for another's, and a client's old address is forgotten.
func TestSetsAreApartByClient(t *testing.T) {
	a, b := publish(t, "k"), publish(t, "k")
	first, err := a.sets.Keys(t.Context(), "a", a.url, "k")
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"b", "a"} { // the second has a new address
		second, err := a.sets.Keys(t.Context(), who, b.url, "k")
		if err != nil {
			t.Fatal(err)
		}
		if first[0].Key.(*ecdsa.PublicKey).Equal(second[0].Key) {
			t.Error("got the other client's key")
		}
	}
}

// RFC 7517 §5: keys of types that are not known are passed over; what is no set is a fault.
func TestKeySetsAreRead(t *testing.T) {
	for text, want := range map[string]int{
		`{"keys":[]}`: 0,
		`{"keys":[{"kty":"new"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"oct","k":"AAAA"},1,null]}`:                                        0,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}],"x":1}`:                                             1, // RFC 8037 Appendix A.2
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}]}`: 0,
		``: -1, `{}`: -1, `{"keys":null}`: -1, `[]`: -1, `<html>`: -1,
	} {
		keys, err := parseKeys([]byte(text))
		if (err != nil) != (want < 0) || err == nil && len(keys) != want {
			t.Errorf("%s: got %d keys, %v", text, len(keys), err)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := parseKeys(body)
		if err == nil && len(keys) > maxKeys {
			t.Error("too many keys")
		}
		for _, key := range keys {
			if !key.IsPublic() {
				t.Error("a key that is not public")
			}
		}
	})
}

// Forged assertions with ids that nobody has cost one fetch in 30 s between them, however many there are and however slow the client's
// server is; and who comes with a key that is known waits for none.
func TestForgedKeysCostOneFetchAndDelayNobody(t *testing.T) {
	p := publish(t, "a")
	p.want("a", 1, "a")
	arrived, answer := make(chan struct{}), make(chan struct{})
	p.mu.Lock()
	p.before = func() { close(arrived); <-answer } // a second fetch would panic
	p.mu.Unlock()
	p.pass(quiet)
	var flood sync.WaitGroup
	for i := range 64 {
		flood.Go(func() {
			if keys, err := p.sets.Keys(t.Context(), "app", p.url, fmt.Sprint("forged ", i)); err != nil || len(keys) != 1 {
				t.Errorf("got %d keys, %v", len(keys), err)
			}
		})
	}
	<-arrived
	patience, leave := context.WithCancel(t.Context())
	leave() // none
	for _, kid := range []string{"a", ""} {
		if keys, err := p.sets.Keys(patience, "app", p.url, kid); err != nil || len(keys) != 1 {
			t.Errorf("a known key while the fetch hangs: got %d keys, %v", len(keys), err)
		}
	}
	close(answer)
	flood.Wait()
	for i := range 64 {
		p.want(fmt.Sprint("forged later ", i), 2, "a")
	}
}
