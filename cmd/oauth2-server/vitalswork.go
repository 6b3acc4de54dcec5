package main

import (
	"maps"
	"math"
	"slices"
	"strings"

	"oauth2-server/store"
)

// work is what a window shows.
type work struct {
	queries, routes             workload
	pools                       map[string]poolWaits
	logins                      map[string]int64
	counts                      map[string]float64
	busy, unbelieved, otherHost int64
	denySet                     int64 // as it is now
}

type poolWaits struct {
	count        int64
	milliseconds float64
}

func newWork() *work {
	return &work{queries: workload{}, routes: workload{}, pools: map[string]poolWaits{}, logins: map[string]int64{}, counts: map[string]float64{}}
}

// add counts what a series did: value is what it says now, more what it said in the window.
func (d *work) add(s *series, value, more float64) {
	switch s.family {
	case familyRoute:
		d.routes.add(s, more)
	case familyQuery:
		d.queries.add(s, more)
	case familyPoolWaits:
		d.pools[s.key] = poolWaits{int64(more), d.pools[s.key].milliseconds}
	case familyPoolWaited:
		d.pools[s.key] = poolWaits{d.pools[s.key].count, more * 1000}
	case familyLogins:
		addIncrease(d.logins, s.key, int64(more))
	case familyCount:
		addIncrease(d.counts, s.key, more)
	case familyBusy:
		d.busy = int64(more)
	case familyUnbelieved:
		d.unbelieved = int64(more)
	case familyOtherHost:
		d.otherHost = int64(more)
	case familyDenySet:
		d.denySet = int64(value)
	}
}

// addIncrease keeps what did not happen out of the map: vitals are written every five seconds.
func addIncrease[N int64 | float64](to map[string]N, key string, more N) {
	if more != 0 {
		to[key] += more
	}
}

// A workload is the work of a window, by route or query.
type workload map[string]*histogram

// A histogram is one sort of work.
type histogram struct {
	under           map[float64]float64 // how much of it took no longer than the bound, in seconds
	faults, refused float64
}

// add counts work that took no longer than the bound of the series. The last bound, +Inf, is above all of it.
func (w workload) add(s *series, more float64) {
	h := w[s.key]
	if h == nil {
		h = &histogram{under: map[float64]float64{}}
		w[s.key] = h
	}
	h.under[s.bound] += more
	switch {
	case !math.IsInf(s.bound, 1):
	case s.status == "error" || strings.HasPrefix(s.status, "5"):
		h.faults += more
	case s.status == "429":
		h.refused += more
	}
}

// vitals leaves out what there was none of.
func (w workload) vitals() map[string]store.WorkVitals {
	all := map[string]store.WorkVitals{}
	for key, h := range w {
		if count := h.under[math.Inf(1)]; count > 0 {
			all[key] = store.WorkVitals{Count: int64(count), Faults: int64(h.faults), Refused: int64(h.refused), P50: h.quantile(.5), P99: h.quantile(.99)}
		}
	}
	return all
}

// quantile is the least bound that the share q of all is under, in milliseconds; the last but +Inf if that share is above it.
func (h *histogram) quantile(q float64) float64 {
	last := 0.0
	for _, bound := range slices.Sorted(maps.Keys(h.under)) {
		if math.IsInf(bound, 1) {
			break
		}
		last = bound
		if h.under[bound] >= q*h.under[math.Inf(1)] {
			break
		}
	}
	return last * 1000
}
