package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"oauth2-server/hotpath/fetch"
	"oauth2-server/store"
)

// Strangers write assertions in the name of a client that publishes its keys, each with another key id. They are refused like
// those in the name of nobody, make this server ask the client's once, and do not hold up the client, whose key is known; nor is the store asked.
func TestForgedAssertionsOfAClientThatPublishesItsKeys(t *testing.T) {
	d, rules := newAsserting(t)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: signers()["ES256"].Public(), KeyID: "k", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	publisher := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write(set) // the client is a test's
	}))
	defer publisher.Close()
	rules.KeySets = fetch.NewKeySets(fetch.New(fetch.Options{Loopback: true}))
	d.clients["far"] = &store.Client{ID: "far", AuthMethod: store.AuthPrivateKeyJWT, AuthAlg: "ES256", JWKSURI: publisher.URL}

	var flood sync.WaitGroup
	for i := range 32 { // the first fetch is theirs, too
		flood.Go(func() {
			forged := []byte(string(sign(t, "ES256", claims(rules, "far"))) + "AAAA")
			if _, err := present(rules, forged); !errors.Is(err, error(ErrClient)) {
				t.Errorf("forged: got %v", err)
			}
			if _, err := present(rules, sign(t, "ES256", claims(rules, "far"), "kid", fmt.Sprint("forged ", i))); !errors.Is(err, error(ErrClient)) {
				t.Errorf("of a key that is not published: got %v", err)
			}
		})
	}
	flood.Wait()
	if _, err := present(rules, sign(t, "ES256", claims(rules, "nobody"), "kid", "forged")); !errors.Is(err, error(ErrClient)) {
		t.Errorf("of nobody: got %v", err)
	}
	if d.asked != 0 {
		t.Errorf("promise P6: the store was asked %d times", d.asked)
	}
	if caller, err := present(rules, sign(t, "ES256", claims(rules, "far"))); err != nil || caller.ID != "far" {
		t.Errorf("the client itself: got %+v, %v", caller, err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked the client's server %d times, want once", n)
	}
}
