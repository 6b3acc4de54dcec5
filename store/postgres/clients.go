package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/store"
)

// CreateClient returns the client with version and times set. ErrConflict: the id is taken.
func (db *DB) CreateClient(ctx context.Context, actor store.Actor, client store.Client) (store.Client, error) {
	change, err := db.mutate(ctx, queryClient, func(tx *transaction) (story, error) {
		created := client.First(tx.now)
		_, err := tx.conn.Exec(tx.ctx, "insert into clients (id, disabled, version, created, updated, body) values ($1, $2, $3, $4, $5, $6)",
			created.ID, created.Disabled, created.Version, created.Created, created.Updated, created)
		return clientStory(store.Change{Client: &created}, actor, "client.create", nil, &created), err
	})
	if err != nil {
		return store.Client{}, err
	}
	return *change.Client, nil
}

// UpdateClient lets change alter the client while its row is locked, and
// stores the next version; an error of change is returned as it is. Disabling
// cuts the client off in the same transaction. ErrNotFound.
func (db *DB) UpdateClient(ctx context.Context, actor store.Actor, id string, change func(*store.Client) error) (store.Client, error) {
	told, err := db.mutate(ctx, queryClient, func(tx *transaction) (story, error) {
		old, err := tx.lockClient(id)
		if err != nil {
			return story{}, err
		}
		client := old.Clone()
		if err := pass(change, &client); err != nil {
			return story{}, err
		}
		client = client.Next(&old, tx.now)
		_, err = tx.conn.Exec(tx.ctx, "update clients set disabled = $2, version = $3, updated = $4, body = $5 where id = $1",
			client.ID, client.Disabled, client.Version, client.Updated, client)
		return clientStory(store.Changed(&old, &client, actor), actor, "client.update", &old, &client), err
	})
	if err != nil {
		return store.Client{}, err
	}
	return *told.Client, nil
}

// DeleteClient deletes the client and cuts it off, so that a later client of
// this id does not inherit its tokens. check, unless nil, may refuse while the row is locked; its error is returned as it is. ErrNotFound.
func (db *DB) DeleteClient(ctx context.Context, actor store.Actor, id string, check func(*store.Client) error) error {
	_, err := db.mutate(ctx, queryClient, func(tx *transaction) (story, error) {
		old, err := tx.lockClient(id)
		if err != nil {
			return story{}, err
		}
		if check != nil {
			if err := pass(check, &old); err != nil {
				return story{}, err
			}
		}
		if err := tx.forgetClient(id); err != nil {
			return story{}, err
		}
		_, err = tx.conn.Exec(tx.ctx, "delete from clients where id = $1", id)
		return clientStory(store.Deleted(id, actor), actor, "client.delete", &old, nil), err
	})
	return err
}

// lockClient reads a client for update, and the time: the row may have been waited for.
func (tx *transaction) lockClient(id string) (client store.Client, err error) {
	err = tx.conn.QueryRow(tx.ctx, "select body, clock_timestamp() from clients where id = $1 for update", id).Scan(&client, &tx.now)
	return client, err
}

func clientStory(change store.Change, actor store.Actor, action string, before, after *store.Client) story {
	return story{change, func(now time.Time, _ *store.Change) []store.Audit {
		return []store.Audit{store.AuditClient(now, actor, action, before, after)}
	}}
}

// Client finds a client. ErrNotFound.
func (db *DB) Client(ctx context.Context, id string) (store.Client, error) {
	var client store.Client
	err := db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "select body from clients where id = $1", id).Scan(&client)
	})
	return client, err
}

// Clients lists the clients by id.
func (db *DB) Clients(ctx context.Context) ([]store.Client, error) {
	var all []store.Client
	err := db.use(ctx, db.read, queryExplain, func(ctx context.Context, conn *pgx.Conn) error {
		return eachBody(ctx, conn, `select body from clients order by id collate "C"`, func(c store.Client) error {
			all = append(all, c)
			return nil
		})
	})
	return all, err
}
