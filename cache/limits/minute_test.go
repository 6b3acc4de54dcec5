package limits

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"oauth2-server/store"
)

func saved(l *Limiter) *book { return l.options.Store.(*book) }

// after is what was saved so far, also while the limiter runs.
func (b *book) after() (saves int, minutes map[int64]store.LimitMinute) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.saves, maps.Clone(b.minutes)
}

// run runs the limiter inside a synctest bubble; stop ends it and waits.
func run(t *testing.T, l *Limiter) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

func TestCountsAreSavedBySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t)
		l.Apply([]store.Limit{limit(2, 2, time.Minute, func(l *store.Limit) {
			l.Trial = &store.Quota{Rate: 1, Burst: 1, Period: l.Period}
		})})
		stop := run(t, l)
		defer stop()
		time.Sleep(10*time.Second + time.Millisecond) // synctest's clock begins with a minute
		pass(l, app("a"), 3)
		time.Sleep(2 * time.Second)
		pass(l, app("b"), 1)
		time.Sleep(3 * time.Second)
		minute := time.Now().Unix() / 60
		_, minutes := saved(l).after()
		got := minutes[minute].Rules["introspect.client"]
		at := func(counts ...int64) []int64 { return append(make([]int64, 10), counts...) }
		want := store.RuleMinute{
			Allowed: at(2, 0, 1), Refused: at(1), Trial: at(2),
			Top: []store.KeyMinute{{Key: "a", Allowed: 2, Refused: 1}, {Key: "b", Allowed: 1}},
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

func TestShadowCountsWhatItLetsPassAsAllowed(t *testing.T) {
	l := newLimiter(t)
	l.Apply([]store.Limit{limit(2, 2, time.Minute, mode(store.LimitShadow))})
	pass(l, app("a"), 5)
	l.sample(60)
	l.save(t.Context())
	got := saved(l).minutes[1].Rules["introspect.client"]
	if fmt.Sprint(got.Allowed, got.Would, got.Refused) != "[5] [3] []" || fmt.Sprint(got.Top) != "[{a 2 3}]" {
		t.Errorf("got %+v", got)
	}
}

func TestQuietLimiterSavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t)
		l.Apply([]store.Limit{limit(2, 2, time.Minute)})
		stop := run(t, l)
		time.Sleep(time.Minute)
		if got, _ := saved(l).after(); got != 0 {
			t.Errorf("%d saves of nothing", got)
		}
		pass(l, app("a"), 1)
		time.Sleep(10 * time.Minute)
		if got, _ := saved(l).after(); got > 2 {
			t.Errorf("%d saves for one request", got)
		}
		pass(l, app("a"), 2)
		before, _ := saved(l).after()
		stop() // at once: the rest is saved at the end
		total := int64(0)
		saves, minutes := saved(l).after()
		for _, m := range minutes {
			total += sum(m.Rules["introspect.client"].Allowed)
		}
		if saves == before || total != 3 {
			t.Errorf("%d saves at the end, %d counted, want 3", saves-before, total)
		}
	})
}

func TestMinutesOutliveAnOutageOfTheStore(t *testing.T) {
	l := newLimiter(t)
	l.Apply([]store.Limit{limit(1000, 1000, time.Second)})
	saved(l).fault = errors.New("down")
	for minute := range int64(10) {
		pass(l, app("a"), int(minute)+1)
		l.sample(minute * 60)
		if l.save(t.Context()) {
			t.Fatalf("minute %d is said to be saved", minute)
		}
	}
	saved(l).fault = nil
	if !l.save(t.Context()) { // although nothing more was counted
		t.Fatal("not saved when the store is back")
	}
	got := saved(l).minutes
	for minute := range int64(10) {
		if rules := got[minute].Rules; minute >= 10-unsavedMinutes && fmt.Sprint(rules["introspect.client"].Allowed) != fmt.Sprintf("[%d]", minute+1) {
			t.Errorf("minute %d: %v", minute, rules)
		}
	}
	if len(got) != unsavedMinutes || len(l.minutes) != 1 {
		t.Errorf("%d minutes were saved, %d are still held", len(got), len(l.minutes))
	}
}

func TestTheBusiestKeysAreNamed(t *testing.T) {
	l := newLimiter(t)
	l.Apply([]store.Limit{limit(1000, 1000, time.Minute)})
	for i := range 100 {
		pass(l, app(fmt.Sprintf("client %02d", i)), i+1)
	}
	pass(l, app("bad\x00\x1b\xff"), 200)
	l.sample(60)
	l.save(t.Context())
	top := saved(l).minutes[1].Rules["introspect.client"].Top
	if len(top) != namedKeys || top[0].Key != "bad\uFFFD\uFFFD\uFFFD" || top[1] != (store.KeyMinute{Key: "client 99", Allowed: 100}) || top[19].Allowed != 82 {
		t.Errorf("got %+v", top)
	}
	pass(l, app("next"), 1)
	l.sample(120)
	l.save(t.Context())
	if top := saved(l).minutes[2].Rules["introspect.client"].Top; len(top) > 1 {
		t.Errorf("keys of the last minute are named in the next: %+v", top)
	}
}

func TestRefusedKeysAreToldOnceAndInParts(t *testing.T) {
	clock := newManual()
	l := newLimiter(t, withClock(clock))
	l.Apply([]store.Limit{limit(1, 1, time.Hour, func(l *store.Limit) { l.Version = 7 })})
	for i := range 2500 {
		pass(l, app(fmt.Sprint("client ", i)), 3)
	}
	pass(l, app("allowed"), 1)
	for i, want := range []int{1000, 2000, 2500, 2500} {
		l.save(t.Context())
		if got := len(saved(l).refused); got != want {
			t.Errorf("after %d saves %d keys are told, want %d", i+1, got, want)
		}
	}
	if want := (store.RefusedKey{Limit: "introspect.client", Hash: hashKey("introspect.client", "client 0"), Version: 7}); saved(l).refused[0] != want {
		t.Errorf("got %+v, want %+v", saved(l).refused[0], want)
	}
	clock.move(30 * time.Minute)
	pass(l, app("client 0"), 1)
	clock.move(90 * time.Minute)
	pass(l, app("client 0"), 2) // one passes
	if l.save(t.Context()); len(saved(l).refused) != 2501 {
		t.Errorf("%d keys are told after two hours, want one again", len(saved(l).refused)-2500)
	}
}

func TestKeysThatCouldNotBeSavedAreSavedLater(t *testing.T) {
	l := newLimiter(t)
	l.Apply([]store.Limit{limit(1, 1, time.Hour)})
	pass(l, app("a"), 2)
	saved(l).fault = errors.New("down")
	l.save(t.Context())
	saved(l).fault = nil
	if l.save(t.Context()); len(saved(l).refused) != 1 {
		t.Errorf("%d keys are told, want 1", len(saved(l).refused))
	}
}

func TestWhatIsNotRefusedIsNotTold(t *testing.T) {
	l := newLimiter(t)
	l.Apply([]store.Limit{limit(1, 1, time.Hour, mode(store.LimitShadow))})
	pass(l, app("a"), 3)
	if l.save(t.Context()); len(saved(l).refused) != 0 {
		t.Error("a shadow's refusal is told as one")
	}
}

func TestLiveReplicasAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t)
		l.Apply([]store.Limit{limit(12, 12, time.Hour)})
		defer run(t, l)()
		change := func(replicas int, fault error) {
			b := saved(l)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.replicas, b.fault = replicas, fault
		}
		change(3, nil)
		time.Sleep(6 * time.Second)
		if got := pass(l, app("a"), 20); got != 4 {
			t.Errorf("%d passed, want a third of 12", got)
		}
		change(0, errors.New("down"))
		time.Sleep(6 * time.Second)
		if got := pass(l, app("b"), 20); got != 4 {
			t.Errorf("%d passed while the store cannot tell, want as before", got)
		}
		change(0, nil)
		time.Sleep(6 * time.Second)
		if got := l.live.Load(); got != 1 {
			t.Errorf("%d replicas, want this one at least", got)
		}
	})
}

func TestGuardsAreLookedAtAfterEachSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t)
		l.Apply([]store.Limit{limit(1, 1, time.Hour, watched, func(l *store.Limit) { l.Updated = time.Now() })})
		stop := run(t, l)
		time.Sleep(10 * time.Second)
		stop()
		if got := saved(l).looks; got < 4 {
			t.Errorf("looked %d times in 10 s", got)
		}
	})
}
