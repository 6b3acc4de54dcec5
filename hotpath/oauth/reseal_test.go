package oauth

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

const (
	youngSecret = "the young secret of the tests 0123456789"
	olderSecret = "the older secret of the tests 0123456789"
)

func parseSecrets(t *testing.T, text string) keys.Secrets {
	t.Helper()
	s, err := keys.ParseSecrets(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// register is a registry in memory.
type register struct {
	clients []store.Client
	changed int
	fault   error
}

func (r *register) Clients(context.Context) ([]store.Client, error) {
	var all []store.Client
	for i := range r.clients {
		all = append(all, r.clients[i].Clone())
	}
	return all, r.fault
}

func (r *register) UpdateClient(_ context.Context, _ store.Actor, id string, change func(*store.Client) error) (store.Client, error) {
	for i := range r.clients {
		if r.clients[i].ID != id {
			continue
		}
		c := r.clients[i].Clone()
		if err := change(&c); err != nil {
			return store.Client{}, err
		}
		r.clients[i], r.changed = c, r.changed+1
		return c, nil
	}
	return store.Client{}, store.ErrNotFound
}

// The way of a secret: "old", "new,old", "new". Replicas that have not got the new one yet open what was sealed anew.
func TestSecretsOfClientsAreSealedAnew(t *testing.T) {
	old, both, young := parseSecrets(t, olderSecret), parseSecrets(t, youngSecret+","+olderSecret), parseSecrets(t, youngSecret)
	r := &register{clients: []store.Client{{ID: "hashed", Secrets: []store.SecretHash{{1}}}}}
	for _, id := range []string{"a", "b"} {
		sealed, err := old.SealText(id, "the secret of "+id)
		if err != nil {
			t.Fatal(err)
		}
		r.clients = append(r.clients, store.Client{ID: id, AuthMethod: store.AuthClientSecretJWT, SealedSecret: sealed})
	}
	f := func(name string, secrets keys.Secrets, changed int, want ...string) {
		t.Helper()
		shut, err := Reseal(t.Context(), r, store.Actor{}, secrets)
		if err != nil || r.changed != changed || !reflect.DeepEqual(shut, want) {
			t.Errorf("%s: got %v, %v, %d changes, want %v and %d", name, shut, err, r.changed, want, changed)
		}
	}
	opens := func(name string, secrets keys.Secrets) {
		t.Helper()
		for _, c := range r.clients[1:] {
			if text, err := secrets.OpenText(c.ID, c.SealedSecret); err != nil || text != "the secret of "+c.ID {
				t.Errorf("%s: got %q, %v", name, text, err)
			}
		}
	}
	f("nothing to do", old, 0)
	f("dropped too early", young, 0, "a", "b")
	f("both", both, 2)
	f("both again", both, 2)
	opens("old", old)
	opens("both", both)
	opens("new", young)
	f("new", young, 2)
	f("neither", parseSecrets(t, "another secret of the tests 0123456789"), 2, "a", "b")
	r.fault = store.ErrUnavailable
	if _, err := Reseal(t.Context(), r, store.Actor{}, young); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("promise P5: got %v", err)
	}
}

// Of two replicas one seals; what an operator does meanwhile stands.
func TestSealingAnewYieldsToOthers(t *testing.T) {
	old, both := parseSecrets(t, olderSecret), parseSecrets(t, youngSecret+","+olderSecret)
	for name, meanwhile := range map[string]func(*store.Client){
		"sealed by another":     func(c *store.Client) { c.SealedSecret, _ = both.ResealText(c.ID, c.SealedSecret) },
		"another method":        func(c *store.Client) { c.SealedSecret = nil },
		"a secret not of these": func(c *store.Client) { c.SealedSecret = []byte("damaged") },
		"deleted":               func(c *store.Client) { c.ID = "gone" },
	} {
		sealed, err := old.SealText("a", "the secret")
		if err != nil {
			t.Fatal(err)
		}
		r := &racing{register: register{clients: []store.Client{{ID: "a", SealedSecret: sealed}}}, meanwhile: meanwhile}
		if _, err := Reseal(t.Context(), r, store.Actor{}, both); err != nil || r.changed != 0 {
			t.Errorf("%s: got %v and %d changes", name, err, r.changed)
		}
	}
}

// racing is a register that somebody changes after it was read.
type racing struct {
	register
	meanwhile func(*store.Client)
}

func (r *racing) Clients(ctx context.Context) ([]store.Client, error) {
	all, err := r.register.Clients(ctx)
	r.meanwhile(&r.clients[0])
	return all, err
}
