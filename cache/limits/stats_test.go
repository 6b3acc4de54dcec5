package limits_test

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

// A book is what replicas told.
type book struct {
	minutes  []store.LimitMinute
	replicas []store.Replica
}

func (b *book) LimitMinutes(_ context.Context, since int64) ([]store.LimitMinute, error) {
	return slices.DeleteFunc(slices.Clone(b.minutes), func(m store.LimitMinute) bool { return m.Minute < since }), nil
}

func (b *book) Replicas(context.Context) ([]store.Replica, error) { return b.replicas, nil }

// told adds what a replica counted in a minute of the limit "x".
func (b *book) told(replica byte, minute int64, counts store.RuleMinute) {
	b.minutes = append(b.minutes, store.LimitMinute{Replica: store.ID{replica}, Minute: minute, Rules: map[string]store.RuleMinute{
		"x": counts, "other": {Allowed: []int64{1000}},
	}})
}

const hour = int64(1_000_000 * 60) // Unix seconds, at the start of a minute

// read is as of the hour.
func (b *book) read(t *testing.T, q limits.StatsQuery) limits.Stats {
	t.Helper()
	q.Limit, q.Now = "x", time.Unix(hour, 0).Add(limits.Behind)
	s, err := limits.ReadStats(t.Context(), b, q)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStatsAddUpAllReplicasSecondBySecond(t *testing.T) {
	b := new(book)
	const minute = hour/60 - 1
	b.told(1, minute-59, store.RuleMinute{Allowed: []int64{7}}) // the first second of the hour
	b.told(1, minute, store.RuleMinute{Allowed: []int64{0, 2, 3}, Refused: []int64{1}, Would: []int64{0, 0, 4}, Trial: []int64{5}})
	b.told(2, minute, store.RuleMinute{Allowed: []int64{0, 10}})
	b.told(2, minute+1, store.RuleMinute{Allowed: []int64{99}}) // not settled yet
	s := b.read(t, limits.StatsQuery{})
	if len(s.Series.Allowed) != 3600 || s.Resolution != 1 || s.From.Unix() != hour-3600 || s.AsOf.Unix() != hour {
		t.Fatalf("got %d points of %d s from %v to %v, want an hour of seconds", len(s.Series.Allowed), s.Resolution, s.From, s.AsOf)
	}
	if a := s.Series.Allowed; a[0] != 7 || a[3540] != 0 || a[3541] != 12 || a[3542] != 3 || s.Series.Refused[3540] != 1 || s.Series.Would[3542] != 4 || s.Series.Trial[3540] != 5 {
		t.Errorf("got %v in the last minute, want what both replicas counted", a[3540:3545])
	}
	if want := (limits.Totals{Allowed: 15, Refused: 1, Would: 4, Trial: 5}); s.LastMinute != want {
		t.Errorf("got %+v, want %+v in the last minute", s.LastMinute, want)
	}
	if want := (limits.Totals{Allowed: 22, Refused: 1, Would: 4, Trial: 5}); s.Total != want {
		t.Errorf("got %+v, want %+v in the hour", s.Total, want)
	}
}

func TestStatsInTheResolutionAskedFor(t *testing.T) {
	b := new(book)
	b.told(1, hour/60-1, store.RuleMinute{Allowed: []int64{30: 6, 59: 6}})
	s := b.read(t, limits.StatsQuery{Resolution: 60})
	if n := len(s.Series.Allowed); n != 60 || s.Series.Allowed[59] != 0.2 || s.Series.Allowed[58] != 0 {
		t.Errorf("got %d points, the last %v, want 60 and 12 in a minute", n, s.Series.Allowed[59])
	}
	if s.Peak.Allowed != 6 {
		t.Errorf("got a peak of %d, want that of a second", s.Peak.Allowed)
	}
	s = b.read(t, limits.StatsQuery{Resolution: 30, Last: 45 * time.Second}) // made whole: a minute
	if !slices.Equal(s.Series.Allowed, []float64{0, 0.4}) || s.Total.Allowed != 12 || s.AsOf.Sub(s.From) != time.Minute {
		t.Errorf("got %+v, want two points", s)
	}
	s = b.read(t, limits.StatsQuery{Last: 10 * time.Second})
	if len(s.Series.Allowed) != 10 || s.Total.Allowed != 6 || s.LastMinute.Allowed != 6 {
		t.Errorf("got %+v, want ten seconds", s)
	}
	for _, q := range []limits.StatsQuery{{Resolution: -1}, {Resolution: 3601}, {Last: -1}, {Last: 2 * time.Hour}, {Last: 1500 * time.Millisecond}} {
		if _, err := limits.ReadStats(t.Context(), b, q); faults(err) == nil {
			t.Errorf("got %v for %+v, want it refused", err, q)
		}
	}
}

func TestStatsNameTheBusiestKeys(t *testing.T) {
	b := new(book)
	top := []store.KeyMinute{{Key: "a", Allowed: 60}, {Key: "b", Allowed: 10, Refused: 20}}
	for i := range byte(12) { // more than are named
		top = append(top, store.KeyMinute{Key: string([]byte{'k', 'a' + i}), Allowed: 1})
	}
	b.told(1, hour/60-2, store.RuleMinute{Allowed: []int64{82}, Refused: []int64{18}, Would: []int64{2}, Top: top})
	b.told(2, hour/60-1, store.RuleMinute{Allowed: []int64{90}, Refused: []int64{10}, Top: []store.KeyMinute{{Key: "a", Allowed: 20, Refused: 10}}})
	s := b.read(t, limits.StatsQuery{})
	if want := (limits.KeyStat{Key: "a", Requests: 90, Refused: 10, Share: 0.45, RefusedShare: 10. / 30}); len(s.Busiest) != 10 || s.Busiest[0] != want {
		t.Errorf("got %d keys, first %+v, want ten, first %+v", len(s.Busiest), s.Busiest[0], want)
	}
	if want := (limits.KeyStat{Key: "b", Requests: 30, Refused: 20, Share: 0.15, RefusedShare: 20. / 30}); len(s.Refused) != 2 || s.Refused[0] != want {
		t.Errorf("got %+v, want b and a, first %+v", s.Refused, want)
	}
	s = b.read(t, limits.StatsQuery{Last: time.Minute})
	if len(s.Busiest) != 1 || s.Busiest[0].Share != 0.3 {
		t.Errorf("got %+v, want the keys of that minute", s.Busiest)
	}
}

func TestStatsSayWhichReplicasWereHeard(t *testing.T) {
	b := &book{replicas: []store.Replica{{ID: store.ID{3}}, {ID: store.ID{1}}}}
	b.told(1, hour/60-9, store.RuleMinute{})
	b.told(1, hour/60-2, store.RuleMinute{})
	b.told(2, hour/60-5, store.RuleMinute{}) // has ended since
	at := func(minute int64) *time.Time { at := time.Unix(hour+60*minute, 0).UTC(); return &at }
	want := []limits.Heard{{store.ID{1}, true, at(-2)}, {store.ID{2}, false, at(-5)}, {store.ID{3}, true, nil}}
	if s := b.read(t, limits.StatsQuery{}); !reflect.DeepEqual(s.Replicas, want) {
		t.Errorf("got %+v, want %+v", s.Replicas, want)
	}
}

func TestStatsOfNothing(t *testing.T) {
	s := new(book).read(t, limits.StatsQuery{})
	if s.Busiest == nil || s.Refused == nil || s.Replicas == nil || s.Total != (limits.Totals{}) || len(s.Series.Trial) != 3600 {
		t.Errorf("got %+v, want zeros and empty lists", s)
	}
}
