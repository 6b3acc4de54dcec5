package cache

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"oauth2-server/store"
)

// state is everything that changes, held whole: clients, the deny set, the
// cut-offs and the limits, up to a position of the feed. Keys pass through to the ring.
type state struct {
	keys       func(keys []store.Key, whole bool) // told of keys: all there are, or those that changed
	tellLimits func(all []store.Limit)            // told of all limits when any changed; may be nil

	clients  atomic.Pointer[clients] // replaced, never changed
	limits   map[string]store.Limit  // replaced, never changed; of the follower alone
	denials  atomic.Pointer[denySet]
	cutoffs  *cutoffs
	position atomic.Int64 // of the newest change applied

	mu sync.Mutex // a denial made here against the exchange of the whole set
}

func newState(keys func([]store.Key, bool), tellLimits func([]store.Limit)) *state {
	s := &state{keys: keys, tellLimits: tellLimits, cutoffs: newCutoffs()}
	s.clients.Store(newClients(map[string]*store.Client{}))
	s.limits = map[string]store.Limit{}
	s.denials.Store(newDenySet())
	return s
}

// clients is every client by id, and the origins (RFC 6454) that any of them names.
type clients struct {
	byID    map[string]*store.Client
	origins map[string]struct{}
}

func newClients(byID map[string]*store.Client) *clients {
	c := &clients{byID: byID, origins: map[string]struct{}{}}
	for _, client := range byID {
		for _, origin := range client.Origins {
			c.origins[origin] = struct{}{}
		}
	}
	return c
}

// deny adds a denial, now and for good: see exchange.
func (s *state) deny(d store.Denial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denials.Load().add(d)
}

// setLimits puts limits in the place of those there were, and tells of them.
func (s *state) setLimits(limits map[string]store.Limit) {
	s.limits = limits
	if s.tellLimits == nil {
		return
	}
	all := make([]store.Limit, 0, len(limits))
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		all = append(all, limits[name])
	}
	s.tellLimits(all)
}

// page is the changes of one poll, gathered so that maps are copied once.
type page struct {
	s       *state
	changes int
	clients map[string]*store.Client // nil until a client changes
	limits  map[string]store.Limit   // nil until a limit changes
}

// apply takes one change of the feed.
func (p *page) apply(c *store.Change) error {
	p.changes++
	if p.clients == nil && (c.Client != nil || c.Gone != "") {
		p.clients = maps.Clone(p.s.clients.Load().byID)
	}
	if c.Client != nil {
		p.clients[c.Client.ID] = c.Client
	}
	if c.Gone != "" {
		delete(p.clients, c.Gone)
	}
	if p.limits == nil && (c.Limit != nil || c.Lifted != "") {
		p.limits = maps.Clone(p.s.limits)
	}
	if c.Limit != nil {
		p.limits[c.Limit.Name] = *c.Limit
	}
	if c.Lifted != "" {
		delete(p.limits, c.Lifted)
	}
	if len(c.Keys) > 0 {
		p.s.keys(c.Keys, false)
	}
	for _, d := range c.Denials {
		p.s.deny(d)
	}
	for _, cut := range c.Cutoffs {
		p.s.cutoffs.add(cut)
	}
	return nil
}

// publish makes the page visible, its position last: who reads a position first and the state
// after it sees at least what the position says (store.Position is what cut-offs compare with).
func (p *page) publish(position store.Position) {
	if p.clients != nil {
		p.s.clients.Store(newClients(p.clients))
	}
	if p.limits != nil {
		p.s.setLimits(p.limits)
	}
	p.s.position.Store(int64(position))
}

// whole is a state being loaded beside the one in use.
type whole struct {
	clients map[string]*store.Client
	limits  map[string]store.Limit
	keys    []store.Key
	denials *denySet
	cutoffs *cutoffs
}

func newWhole() *whole {
	return &whole{clients: map[string]*store.Client{}, limits: map[string]store.Limit{}, denials: newDenySet(), cutoffs: newCutoffs()}
}

func (w *whole) apply(c *store.Change) error {
	if c.Client != nil {
		w.clients[c.Client.ID] = c.Client
	}
	if c.Limit != nil {
		w.limits[c.Limit.Name] = *c.Limit
	}
	w.keys = append(w.keys, c.Keys...)
	for _, d := range c.Denials {
		w.denials.add(d)
	}
	for _, cut := range c.Cutoffs {
		w.cutoffs.add(cut)
	}
	return nil
}

// lost is what the loaded history lacks, where it is not the one that s followed up to known:
// denials not yet expired at now (Unix seconds); cut-offs; and cut-offs made in the other history under a
// number that ours had used, which therefore miss what was issued here: they get the next. Cut-offs that matter no more are
// neither written back nor renewed: one replica may have them and another not, since the store keeps them for a time only.
func (s *state) lost(w *whole, known store.Position, now int64) (denials []store.Denial, cuts []store.Cutoff) {
	s.denials.Load().each(now, func(d store.Denial) {
		if !w.denials.has(d) {
			denials = append(denials, d)
		}
	})
	dead := now - int64(store.CutoffLife/time.Second)
	s.cutoffs.each(func(cut store.Cutoff) {
		if cut.At >= dead && w.cutoffs.number(cut) < cut.Number {
			cuts = append(cuts, cut)
		}
	})
	w.cutoffs.each(func(cut store.Cutoff) {
		if cut.At >= dead && cut.Number <= known && s.cutoffs.number(cut) < cut.Number {
			cut.Number, cut.At = known+1, now // it kills what is issued until now
			cuts = append(cuts, cut)
		}
	})
	return denials, cuts
}

// exchange puts the loaded state in the place of s. Denials and cut-offs are
// joined, never taken back: what was inactive here stays inactive.
func (s *state) exchange(w *whole, position store.Position, now int64) {
	s.keys(w.keys, true)
	s.mu.Lock()
	s.denials.Load().each(now, w.denials.add)
	s.denials.Store(w.denials)
	s.mu.Unlock()
	w.cutoffs.each(s.cutoffs.add)
	s.clients.Store(newClients(w.clients))
	s.setLimits(w.limits)
	s.position.Store(int64(position))
}
