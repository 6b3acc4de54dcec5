package oauth

import (
	"context"
	"errors"
	"fmt"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

// Registry is the registered clients, to change them; storetest.Store says what each method promises.
type Registry interface {
	Clients(ctx context.Context) ([]store.Client, error)
	UpdateClient(ctx context.Context, actor store.Actor, id string, change func(*store.Client) error) (store.Client, error)
}

// Reseal seals the secrets of client_secret_jwt clients for the newest of the server's secrets, as [keys.Ensure] does with the keys
// of the ring, and returns the clients whose secret none of them opens. Of replicas that start at once the first does
// it. [store.ErrUnavailable].
func Reseal(ctx context.Context, db Registry, actor store.Actor, secrets keys.Secrets) (shut []string, err error) {
	all, err := db.Clients(ctx)
	if err != nil {
		return nil, fmt.Errorf("list clients: %w", err)
	}
	return Shut(all, secrets), sealAnew(ctx, db, actor, all, secrets.ResealText)
}

// ForgetSecrets takes from the sealed secrets of clients the seals of secrets that are not given, as [keys.ForgetSecrets]
// does from the keys of the ring. [store.ErrUnavailable].
func ForgetSecrets(ctx context.Context, db Registry, actor store.Actor, secrets keys.Secrets) error {
	all, err := db.Clients(ctx)
	if err != nil {
		return fmt.Errorf("list clients: %w", err)
	}
	return sealAnew(ctx, db, actor, all, secrets.BareText)
}

// sealing makes another sealed text of one; nil: it is as it should be. [keys.ErrText].
type sealing func(owner string, sealed []byte) ([]byte, error)

func sealAnew(ctx context.Context, db Registry, actor store.Actor, all []store.Client, seal sealing) error {
	for i := range all {
		if err := seal.client(&all[i]); err != nil {
			continue // there is nothing to do, or nothing can be done: Shut tells
		}
		_, err := db.UpdateClient(ctx, actor, all[i].ID, seal.client)
		if err != nil && !errors.Is(err, ErrUnchanged) && !errors.Is(err, keys.ErrText) && !errors.Is(err, store.ErrNotFound) { // others were faster
			return fmt.Errorf("seal the secret of client %q anew: %w", all[i].ID, err)
		}
	}
	return nil
}

// client seals the secret of one client. [ErrUnchanged], [keys.ErrText].
func (seal sealing) client(c *store.Client) error {
	if len(c.SealedSecret) == 0 {
		return ErrUnchanged
	}
	sealed, err := seal(c.ID, c.SealedSecret)
	if err != nil {
		return err
	}
	if sealed == nil {
		return ErrUnchanged
	}
	c.SealedSecret = sealed
	return nil
}

// Shut is the clients of a list whose sealed secret none of the server's secrets opens: they cannot prove themselves.
func Shut(all []store.Client, secrets keys.Secrets) (shut []string) {
	for i := range all {
		if _, err := secrets.OpenText(all[i].ID, all[i].SealedSecret); err != nil && len(all[i].SealedSecret) > 0 {
			shut = append(shut, all[i].ID)
		}
	}
	return shut
}
