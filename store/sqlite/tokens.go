package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"

	"oauth2-server/store"
)

// ?1 is a JSON array of expiries, ?2 the ids in the same order, 16 bytes each:
// one statement for any number of keys, prepared once.
const findTokensSQL = `select wanted.key, tokens.record from json_each(?1) as wanted cross join tokens
	where tokens.expires = wanted.value and tokens.id = substr(?2, wanted.key * 16 + 1, 16)`

// InsertTokens makes the rows durable, all or none of them. A row that is
// there already is store.ErrConflict.
func (db *DB) InsertTokens(ctx context.Context, tokens []store.Token) error {
	if len(tokens) == 0 {
		return nil
	}
	err := db.write(ctx, "insert_tokens", func(m *mutation) error {
		insert, err := m.prepare("insert into tokens (expires, id, record) values (?, ?, ?)")
		if err != nil {
			return err
		}
		for i := range tokens {
			row := &tokens[i]
			if _, err := insert(row.Expires, row.ID[:], row.Record); err != nil {
				return fmt.Errorf("row %d: %w", i, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("insert %d tokens: %w", len(tokens), err)
	}
	return nil
}

// FindTokens calls found with the index of each key that has a row, and the record.
func (db *DB) FindTokens(ctx context.Context, keys []store.TokenKey, found func(i int, record []byte)) error {
	if len(keys) == 0 {
		return nil
	}
	expiries, ids := pack(keys)
	err := db.observe("find_tokens", func() error {
		result, err := db.findTokens.query(ctx, expiries, ids)
		return rows(result, err, func(row *sql.Rows) error {
			var i int
			var record sql.RawBytes
			if err := row.Scan(&i, &record); err != nil {
				return classify(err)
			}
			found(i, record)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("find %d tokens: %w", len(keys), err)
	}
	return nil
}

// pack makes the two arguments of findTokensSQL.
func pack(keys []store.TokenKey) (expiries string, ids []byte) {
	list := make([]byte, 0, 12*len(keys)+1)
	ids = make([]byte, 0, 16*len(keys))
	for i, key := range keys {
		if i == 0 {
			list = append(list, '[')
		} else {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, key.Expires, 10)
		ids = append(ids, key.ID[:]...)
	}
	return string(append(list, ']')), ids
}
