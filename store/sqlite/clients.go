package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"oauth2-server/store"
)

const clientSQL = "select body from clients where id = ?"

// CreateClient returns the client with version and times set.
func (db *DB) CreateClient(ctx context.Context, actor store.Actor, client store.Client) (store.Client, error) {
	var made store.Client
	err := db.write(ctx, "client", func(m *mutation) error {
		made = client.Clone().First(m.now)
		if err := m.putClient("insert into clients (body, id) values (?, ?)", &made); err != nil {
			return err
		}
		if err := m.publish(&store.Change{Client: &made}); err != nil {
			return err
		}
		return m.audit(store.AuditClient(m.now, actor, "client.create", nil, &made))
	})
	if err != nil {
		return store.Client{}, fmt.Errorf("create client %q: %w", client.ID, err)
	}
	return made, nil
}

// UpdateClient stores what change makes of the client as its next version.
func (db *DB) UpdateClient(ctx context.Context, actor store.Actor, id string, change func(*store.Client) error) (store.Client, error) {
	var old, next store.Client
	var refused error
	err := db.write(ctx, "client", func(m *mutation) error {
		if err := m.body(&old, clientSQL, id); err != nil {
			return err
		}
		next = old.Clone()
		if refused = change(&next); refused != nil {
			return refused
		}
		next = next.Next(&old, m.now)
		if err := m.putClient("update clients set body = ? where id = ?", &next); err != nil {
			return err
		}
		told := store.Changed(&old, &next, actor)
		if err := m.publish(&told); err != nil {
			return err
		}
		return m.audit(store.AuditClient(m.now, actor, "client.update", &old, &next))
	})
	switch {
	case refused != nil:
		return store.Client{}, refused
	case err != nil:
		return store.Client{}, fmt.Errorf("update client %q: %w", id, err)
	}
	return next, nil
}

// putClient runs a statement that takes the client's JSON and its id.
func (m *mutation) putClient(text string, client *store.Client) error {
	body, err := json.Marshal(client)
	if err != nil {
		return fmt.Errorf("write client as JSON: %w", err)
	}
	_, err = m.exec(text, string(body), client.ID)
	return err
}

// DeleteClient deletes the client and cuts it off, unless check refuses.
func (db *DB) DeleteClient(ctx context.Context, actor store.Actor, id string, check func(*store.Client) error) error {
	var refused error
	err := db.write(ctx, "client", func(m *mutation) error {
		var old store.Client
		if err := m.body(&old, clientSQL, id); err != nil {
			return err
		}
		if check != nil {
			if refused = check(&old); refused != nil {
				return refused
			}
		}
		if err := m.forgetClient(id); err != nil {
			return err
		}
		if _, err := m.exec("delete from clients where id = ?", id); err != nil {
			return err
		}
		told := store.Deleted(id, actor)
		if err := m.publish(&told); err != nil {
			return err
		}
		return m.audit(store.AuditClient(m.now, actor, "client.delete", &old, nil))
	})
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return fmt.Errorf("delete client %q: %w", id, err)
	}
	return nil
}

// Client finds one client.
func (db *DB) Client(ctx context.Context, id string) (store.Client, error) {
	var client store.Client
	found := false
	err := db.query(ctx, clientSQL, func(row *sql.Rows) error {
		found = true
		return scanBody(row, &client)
	}, id)
	if err := one(found, err); err != nil {
		return store.Client{}, fmt.Errorf("find client %q: %w", id, err)
	}
	return client, nil
}

// Clients lists all clients by id.
func (db *DB) Clients(ctx context.Context) ([]store.Client, error) {
	var all []store.Client
	if err := db.query(ctx, "select body from clients order by id", scanInto(&all)); err != nil {
		return nil, fmt.Errorf("list clients: %w", err)
	}
	return all, nil
}
