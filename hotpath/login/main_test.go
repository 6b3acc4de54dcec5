package login

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
	"oauth2-server/store/postgres"
	"oauth2-server/store/sqlite"
)

func TestMain(m *testing.M) { os.Exit(private.Main(m)) }

// onEachStore runs the test on SQLite and on Postgres, both migrated. open is another handle of the same store.
func onEachStore(t *testing.T, test func(t *testing.T, open func() SeedStore)) {
	t.Run("sqlite", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "oauth2.db")
		open := func() SeedStore {
			db, err := sqlite.Open(sqlite.Options{Path: file, Create: true})
			if err == nil {
				t.Cleanup(db.Close)
				_, err = db.Migrate(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			return db
		}
		test(t, open)
	})
	t.Run("postgres", func(t *testing.T) {
		url := private.TestDatabase(t)
		open := func() SeedStore {
			db, err := postgres.Open(postgres.Options{URL: url})
			if err == nil {
				t.Cleanup(db.Close)
				_, err = db.Migrate(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			return db
		}
		test(t, open)
	})
}

// A meter is a cheap argon2.IDKey that counts.
type meter struct {
	mu    sync.Mutex
	costs []cost
}

// cost is all that the time of one derivation depends on, beside the length of the password.
type cost struct {
	time, memory uint32
	threads      uint8
	salt, sum    int
}

func (m *meter) derive(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.costs = append(m.costs, cost{time, memory, threads, len(salt), int(keyLen)})
	text := binary.BigEndian.AppendUint32(append([]byte(nil), salt...), uint32(len(password)))
	sum := sha256.Sum256(append(text, password...))
	return sum[:keyLen]
}

// spent is what was derived since it was asked last.
func (m *meter) spent() []cost {
	m.mu.Lock()
	defer m.mu.Unlock()
	costs := m.costs
	m.costs = nil
	return costs
}

// cheap is a hasher that costs nothing.
func cheap() (*Hasher, *meter) {
	m := new(meter)
	return newHasher(8, m.derive), m
}

const goodPassword = "purple lantern ferries oblique mustard"

var testActor = store.Actor{Kind: "cli", ID: "test"}

// enrolled is a user who was created.
func enrolled(t *testing.T, db SeedStore, h *Hasher, u store.User) store.User {
	t.Helper()
	if err := h.Enrol(t.Context(), &u, goodPassword); err != nil {
		t.Fatal(err)
	}
	u.ID = store.NewID(testNow)
	made, err := db.ChangeUser(t.Context(), testActor, "user.create", u.ID, func(*store.User) (*store.User, error) { return &u, nil })
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// changed is the user after a change.
func changed(t *testing.T, db SeedStore, id store.ID, change func(*store.User)) store.User {
	t.Helper()
	made, err := db.ChangeUser(t.Context(), testActor, "user.update", id, func(old *store.User) (*store.User, error) {
		next := *old
		change(&next)
		return &next, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}
