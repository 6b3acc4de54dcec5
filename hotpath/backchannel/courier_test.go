package backchannel

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/store"
)

// queue is the store's, in memory.
type queue struct {
	mu     sync.Mutex
	all    map[store.ID]store.Logout
	leases map[store.ID]time.Time
	fault  error
}

func (q *queue) ClaimLogouts(_ context.Context, limit int, lease time.Duration) ([]store.Logout, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var due []store.Logout
	for id, l := range q.all {
		if len(due) < limit && !time.Now().Before(l.Next) && !time.Now().Before(q.leases[id]) && q.fault == nil {
			q.leases[id] = time.Now().Add(lease)
			due = append(due, l)
		}
	}
	return due, q.fault
}

func (q *queue) FinishLogout(_ context.Context, id store.ID) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.all, id)
	return nil
}

func (q *queue) RetryLogout(_ context.Context, id store.ID, next time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.all[id]
	l.Attempts, l.Next = l.Attempts+1, next
	q.all[id], q.leases[id] = l, time.Time{}
	return nil
}

func (q *queue) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.all)
}

// world is everything around a courier.
type world struct {
	queue
	posts  []string // "client seconds", since the beginning
	begin  time.Time
	log    strings.Builder
	set    *metrics.Set
	answer func(ctx context.Context, client string) (int, error)
}

func (w *world) LogoutToken(l *store.Logout) ([]byte, string, error) {
	switch l.Client {
	case "gone":
		return nil, "", nil
	case "keyless":
		return nil, "", store.ErrUnavailable
	}
	return []byte("token-of-" + l.Client), "https://" + l.Client + ".example.com/", nil
}

func (w *world) Post(ctx context.Context, target, form string) (int, error) {
	client := strings.TrimPrefix(form, "logout_token=token-of-")
	w.mu.Lock()
	w.posts = append(w.posts, client+" "+time.Since(w.begin).String())
	w.mu.Unlock()
	if target != "https://"+client+".example.com/" {
		return 0, errors.New("sent elsewhere")
	}
	return w.answer(ctx, client)
}

// run plays couriers for a while of synthetic time, with a token for each client in the queue.
func run(t *testing.T, couriers int, during time.Duration, answer func(ctx context.Context, client string) (int, error), clients ...string) *world {
	t.Helper()
	w := &world{answer: answer, set: metrics.NewSet()}
	synctest.Test(t, func(t *testing.T) {
		w.begin = time.Now()
		w.all, w.leases = map[store.ID]store.Logout{}, map[store.ID]time.Time{}
		for _, client := range clients {
			id := store.NewID(time.Now())
			w.all[id] = store.Logout{ID: id, Client: client, Next: time.Now()}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for i := range couriers {
			set := w.set
			if i > 0 {
				set = metrics.NewSet()
			}
			c := New(Options{
				Store: &w.queue, Tokens: w, Poster: w, Now: func() int64 { return time.Now().UnixNano() }, Metrics: set,
				Log: slog.New(slog.NewTextHandler(&w.log, nil)),
			})
			group.Go(func() {
				if err := c.Run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(during)
		cancel()
		group.Wait()
	})
	return w
}

func (w *world) counted(t *testing.T, want string) {
	t.Helper()
	var b strings.Builder
	w.set.WritePrometheus(&b)
	if !strings.Contains(b.String(), want) {
		t.Errorf("metrics lack %q:\n%s", want, b.String())
	}
}

func fine(context.Context, string) (int, error) { return http.StatusNoContent, nil }

// Each token is delivered once, whatever number of replicas look at the queue.
func TestEveryTokenIsDeliveredOnce(t *testing.T) {
	var clients []string
	for range 3 * Parallel {
		clients = append(clients, "web")
	}
	w := run(t, 3, 10*time.Second, fine, clients...)
	if len(w.posts) != 3*Parallel || w.left() != 0 {
		t.Errorf("sent %d, %d are left; want %d and none", len(w.posts), w.left(), 3*Parallel)
	}
}

// Back-Channel Logout §2.8 leaves retries to the server: five attempts over some minutes, then it is given up, aloud.
func TestDeliveryIsGivenUpAfterFiveAttempts(t *testing.T) {
	w := run(t, 1, time.Hour, func(context.Context, string) (int, error) { return http.StatusInternalServerError, nil }, "web")
	want := []string{"web 0s", "web 5s", "web 25s", "web 1m25s", "web 4m25s"}
	if !slices.Equal(w.posts, want) || w.left() != 0 {
		t.Errorf("sent at %v, want %v; %d are left", w.posts, want, w.left())
	}
	if text := w.log.String(); strings.Count(text, "given up") != 1 || strings.Contains(text, "token-of") {
		t.Errorf("logged %s", text)
	}
	w.counted(t, `oauth2_server_backchannel_logouts_total{outcome="abandoned"} 1`)
	w.counted(t, `oauth2_server_backchannel_logouts_total{outcome="failed"} 4`)
}

func TestLaterAttemptMayBeTheOne(t *testing.T) {
	attempts := 0
	w := run(t, 1, time.Hour, func(context.Context, string) (int, error) {
		if attempts++; attempts < 3 {
			return 0, errors.New("connection refused")
		}
		return http.StatusOK, nil
	}, "web")
	if len(w.posts) != 3 || w.left() != 0 || w.log.Len() != 0 {
		t.Errorf("sent %v, %d left, logged %s", w.posts, w.left(), w.log.String())
	}
	w.counted(t, `oauth2_server_backchannel_logouts_total{outcome="delivered"} 1`)
}

// A client that does not answer is waited for five seconds, and holds up nobody else.
func TestSlowClientHoldsUpNobody(t *testing.T) {
	w := run(t, 1, 4*time.Second, func(ctx context.Context, client string) (int, error) {
		if client == "slow" {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		return http.StatusOK, nil
	}, "slow", "web", "web2")
	if len(w.posts) != 3 || w.left() != 1 {
		t.Errorf("sent %v, %d are left; want all three sent at once", w.posts, w.left())
	}
}

// A server that ends while it delivers says nothing of the token: the lease does, and another replica sends it.
func TestTokenOfAServerThatEndsIsStillDue(t *testing.T) {
	w := run(t, 1, time.Second/2, func(ctx context.Context, _ string) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}, "web")
	for _, l := range w.all {
		if l.Attempts != 0 {
			t.Errorf("%d attempts are counted", l.Attempts)
		}
	}
	if w.left() != 1 {
		t.Error("the token is lost")
	}
}

// Nobody is left to be told: off the queue, nothing is sent, nothing is a fault.
func TestTokenOfAClientThatIsGoneIsDropped(t *testing.T) {
	if w := run(t, 1, time.Minute, fine, "gone"); len(w.posts) != 0 || w.left() != 0 || w.log.Len() != 0 {
		t.Errorf("sent %v, %d left, logged %s", w.posts, w.left(), w.log.String())
	}
}

// A token that cannot be signed yet is tried again (promise P5).
func TestTokenThatCannotBeSignedWaits(t *testing.T) {
	if w := run(t, 1, time.Minute, fine, "keyless"); w.left() != 1 || len(w.posts) != 0 {
		t.Errorf("%d are left, sent %v", w.left(), w.posts)
	}
}

func TestQueueThatIsAwayIsWaitedFor(t *testing.T) {
	w := &world{answer: fine}
	w.fault = store.ErrUnavailable
	c := New(Options{Store: &w.queue, Tokens: w, Poster: w, Now: func() int64 { return 0 }, Metrics: metrics.NewSet(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if n := c.round(t.Context()); n != 0 {
		t.Errorf("got %d", n)
	}
}
