package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/cache"
	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

// forgetting is a server's store with what an old and a new secret sealed, and notes what is changed in it.
type forgetting struct {
	database
	t        *testing.T
	r        *running // it has the new secret alone
	old      keys.Secrets
	replicas []store.Replica
	asked    int   // for the replicas
	fault    error // of changing a client
	changed  []string
}

func (f *forgetting) ReplicasSince(_ context.Context, since time.Time) ([]store.Replica, error) {
	f.asked++
	return slices.DeleteFunc(slices.Clone(f.replicas), func(r store.Replica) bool { return r.Seen.Before(since) }), nil
}

func (f *forgetting) UpdateClient(ctx context.Context, actor store.Actor, id string, change func(*store.Client) error) (store.Client, error) {
	if f.fault != nil {
		return store.Client{}, f.fault
	}
	f.changed = append(f.changed, "client")
	return f.database.UpdateClient(ctx, actor, id, change)
}

func (f *forgetting) ChangeKeys(ctx context.Context, actor store.Actor, action string, change func([]store.Key) ([]store.Key, error)) error {
	f.changed = append(f.changed, action)
	return f.database.ChangeKeys(ctx, actor, action, change)
}

func newForgetting(t *testing.T) *forgetting {
	t.Helper()
	c := newConsole(t)
	f := &forgetting{database: c.open(), t: t, old: c.config().secrets}
	both, err := keys.ParseSecrets(newTestSecret + "," + testSecret)
	if err != nil {
		t.Fatal(err)
	}
	for _, secrets := range []keys.Secrets{f.old, both} {
		if _, err := keys.Ensure(t.Context(), f.database, store.Actor{}, secrets, keys.ES256, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	client := store.Client{ID: "app", AuthMethod: store.AuthClientSecretJWT, Grants: []string{"client_credentials"}, Scopes: []string{"read"}}
	if client.SealedSecret, err = both.SealText(client.ID, "the secret of app"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.CreateClient(t.Context(), store.Actor{}, client); err != nil {
		t.Fatal(err)
	}
	c.env = append(c.env, "OAUTH2_JWT_SECRET="+newTestSecret)
	config := c.config()
	f.r = &running{
		config: config, db: f, ring: keys.NewRing(config.secrets, keys.ES256), tier: cache.New(cache.Options{Store: f, Metrics: metrics.NewSet()}),
	}
	f.follow()
	return f
}

// follow is the feed.
func (f *forgetting) follow() {
	f.t.Helper()
	stored, err := f.Keys(f.t.Context())
	if err == nil {
		err = f.r.ring.Replace(stored)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// has is a replica that was seen so long ago and said that it has these secrets.
func (f *forgetting) has(ago time.Duration, secrets keys.Secrets) {
	f.replicas = append(f.replicas, store.Replica{Seen: time.Now().Add(-ago), Vitals: store.Vitals{Secrets: secrets.Fingerprints()}})
}

// want runs one round, and checks what it changed.
func (f *forgetting) want(name string, changed ...string) {
	f.t.Helper()
	f.changed = nil
	if err := forgetSecrets(f.t.Context(), f.r, false); !errors.Is(err, f.fault) {
		f.t.Errorf("%s: got %v", name, err)
	}
	if !slices.Equal(f.changed, changed) {
		f.t.Errorf("%s: %q were changed, want %q", name, f.changed, changed)
	}
	f.follow()
}

// A server that has the old secret, and one that had it within the hour, keeps its seals in the store. Those of clients go before those of
// the keys, by which a server sees that something is left to do: a fault between the two is mended.
func TestSealsGoWhenNobodyNeedsThem(t *testing.T) {
	f := newForgetting(t)
	f.has(0, f.r.config.secrets)
	f.has(0, f.old)
	f.want("another has the old one")
	f.replicas = f.replicas[:1]
	f.has(59*time.Minute, f.old)
	f.want("another had it just now")
	f.replicas = f.replicas[:1]
	f.has(61*time.Minute, f.old)

	f.fault = store.ErrUnavailable
	f.want("the store is away")
	if !f.r.ring.OldSecrets() {
		t.Error("after a fault nothing tells that clients are left")
	}
	f.fault = nil
	f.want("nobody has it", "client", "keys.forget_secrets")
	client, err := f.Client(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.old.OpenText("app", client.SealedSecret); err == nil {
		t.Error("the old secret opens that of the client")
	}
	stored, err := f.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range stored {
		if key.Seals[f.old.Fingerprints()[0]] != nil {
			t.Errorf("the old secret opens the key %s", key.ID)
		}
	}
	asked := f.asked
	f.want("all is done")
	if f.asked != asked {
		t.Error("the replicas are asked though nothing is left to do")
	}
}

// A client that a shell with both secrets made when the keys were bare already is seen by the look at clients, which the ring does not call for.
func TestSealsOfALateClientGo(t *testing.T) {
	f := newForgetting(t)
	f.has(0, f.r.config.secrets)
	f.want("nobody has it", "client", "keys.forget_secrets")
	both, err := keys.ParseSecrets(newTestSecret + "," + testSecret)
	if err != nil {
		t.Fatal(err)
	}
	late := store.Client{ID: "late", AuthMethod: store.AuthClientSecretJWT, Grants: []string{"client_credentials"}, Scopes: []string{"read"}}
	if late.SealedSecret, err = both.SealText(late.ID, "the secret of late"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.CreateClient(t.Context(), store.Actor{}, late); err != nil {
		t.Fatal(err)
	}
	f.want("the ring calls for nothing")
	if err := forgetSecrets(t.Context(), f.r, true); err != nil {
		t.Fatal(err)
	}
	client, err := f.Client(t.Context(), late.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.old.OpenText(late.ID, client.SealedSecret); err == nil {
		t.Error("the old secret opens that of the client")
	}
	if text, err := f.r.config.secrets.OpenText(late.ID, client.SealedSecret); err != nil || text != "the secret of late" {
		t.Errorf("got %q, %v by the new secret", text, err)
	}
}
