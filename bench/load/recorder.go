package load

import (
	"sync/atomic"
	"time"
)

// A sample is what became of one request.
type sample struct {
	kind    string
	fault   string // empty: a good answer
	latency time.Duration
	lag     time.Duration // how late it left although its connection was free; negative: does not apply
}

// A recorder passes the samples of one worker to the collector. Neither waits
// for the other: who has taken a batch out owns it.
type recorder struct {
	full  atomic.Pointer[batch]
	empty atomic.Pointer[batch]
}

type batch struct{ samples []sample }

// add is the worker's.
func (r *recorder) add(s sample) {
	b := r.full.Swap(nil)
	if b == nil {
		b = r.empty.Swap(nil)
	}
	if b == nil {
		b = new(batch)
	}
	b.samples = append(b.samples, s)
	r.full.Store(b)
}

// take is the collector's. It gives nothing when there is nothing, and when
// the worker is adding at this moment: then it is there the next time.
func (r *recorder) take(each func(sample)) {
	b := r.full.Swap(nil)
	if b == nil {
		return
	}
	for _, s := range b.samples {
		each(s)
	}
	clear(b.samples)
	b.samples = b.samples[:0]
	r.empty.Store(b)
}
