package backchannel

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/hotpath/fetch"
	"oauth2-server/store"
	"oauth2-server/store/sqlite"
)

// receivers are clients that take logout tokens on this machine, each in its own way, by path.
type receivers struct {
	url  string
	mu   sync.Mutex
	seen map[string]int
}

func newReceivers(t *testing.T) *receivers {
	t.Helper()
	r := &receivers{seen: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(r.receive))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// asked is how often the client was.
func (r *receivers) asked(client string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[client]
}

func (r *receivers) receive(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	r.seen[request.URL.Path[1:]]++
	r.mu.Unlock()
	_ = request.ParseForm() // and so the connection is watched
	switch request.URL.Path {
	case "/hangs":
		<-request.Context().Done()
	case "/drips": // a byte now and then, for ever
		for w.Write([]byte(".")); http.NewResponseController(w).Flush() == nil; w.Write([]byte(".")) { //nolint:errcheck // Flush says it
			select {
			case <-request.Context().Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	case "/gushes": // bytes without end
		chunk := []byte(strings.Repeat(".", 1<<16))
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	case "/fails":
		w.WriteHeader(http.StatusInternalServerError)
	case "/redirects":
		http.Redirect(w, request, r.url+"/fine", http.StatusTemporaryRedirect)
	}
}

// LogoutToken is for whichever client is named after a path.
func (r *receivers) LogoutToken(l *store.Logout) ([]byte, string, error) {
	return []byte("token"), r.url + "/" + l.Client, nil
}

// noticing tells when a token was settled: taken off the queue, or to be tried again.
type noticing struct {
	*sqlite.DB
	settled chan string
}

func (n *noticing) FinishLogout(ctx context.Context, id store.ID) error {
	err := n.DB.FinishLogout(ctx, id)
	n.settled <- "finished " + id.String()
	return err
}

func (n *noticing) RetryLogout(ctx context.Context, id store.ID, next time.Time) error {
	err := n.DB.RetryLogout(ctx, id, next)
	n.settled <- "again " + id.String()
	return err
}

// deliverAll queues a token for each client, after so many attempts, and returns what became of each: "finished" or "again".
func deliverAll(t *testing.T, r *receivers, attempts int, clients ...string) (outcome map[string]string, left []store.Logout) {
	t.Helper()
	db, err := sqlite.Open(sqlite.Options{Path: sqlite.Memory, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	names, queued := map[string]string{}, []store.Logout(nil)
	for _, client := range clients {
		l := store.Logout{ID: store.NewID(time.Now()), Client: client, Attempts: attempts, Next: time.Now()}
		names[l.ID.String()], queued = client, append(queued, l)
	}
	if err := db.QueueLogouts(t.Context(), queued); err != nil {
		t.Fatal(err)
	}
	n := &noticing{db, make(chan string, 2*len(clients))}
	c := New(Options{
		Store: n, Tokens: r, Poster: fetch.New(fetch.Options{Loopback: true, PerHost: Parallel}), Now: func() int64 { return time.Now().UnixNano() },
		Metrics: metrics.NewSet(), Log: slog.New(slog.DiscardHandler),
	})
	c.round(t.Context()) // one alone: the first to fail are due again before the last has
	close(n.settled)
	outcome = map[string]string{}
	for settled := range n.settled {
		word, id, _ := strings.Cut(settled, " ")
		outcome[names[id]] = word
	}
	left, err = db.ClaimLogouts(t.Context(), 2*len(clients), 0)
	if err != nil {
		t.Fatal(err)
	}
	return outcome, left
}

var badReceivers = []string{"hangs", "drips", "gushes", "fails", "redirects"}

// A client that takes no token, in whatever way, is asked once for each attempt and holds up nobody: the others have theirs.
func TestBadReceiversAreAskedAgainLater(t *testing.T) {
	r := newReceivers(t)
	outcome, _ := deliverAll(t, r, 0, append(slices.Clone(badReceivers), "fine")...)
	for _, client := range badReceivers {
		if outcome[client] != "again" || r.asked(client) != 1 {
			t.Errorf("%s: got %q after %d requests, want another attempt after one", client, outcome[client], r.asked(client))
		}
	}
	if outcome["fine"] != "finished" || r.asked("fine") != 1 { // nobody was redirected there
		t.Errorf("fine: got %q after %d requests, want it delivered by one", outcome["fine"], r.asked("fine"))
	}
}

// The fifth attempt is the last, in whatever way it fails.
func TestBadReceiversAreGivenUp(t *testing.T) {
	r := newReceivers(t)
	outcome, left := deliverAll(t, r, maxAttempts-1, badReceivers...)
	for _, client := range badReceivers {
		if outcome[client] != "finished" || r.asked(client) != 1 {
			t.Errorf("%s: got %q after %d requests, want it given up after one more", client, outcome[client], r.asked(client))
		}
	}
	if len(left) != 0 {
		t.Errorf("%d are left", len(left))
	}
}
