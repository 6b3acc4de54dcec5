package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

// clock is the store's clock as far as this replica knows it: the offset of the
// last beats from our own monotonic time. All replicas judge expiry by it. It
// never steps back: what was expired stays expired.
type clock struct {
	start  time.Time    // ours; its monotonic part counts
	offset atomic.Int64 // nanoseconds from start's monotonic time to the store's Unix time
	floor  atomic.Int64 // nanoseconds; no reading is below it

	mu sync.Mutex // one setter at a time
}

func newClock() *clock {
	c := &clock{start: time.Now()}
	c.offset.Store(c.start.UnixNano())
	return c
}

// now is the store's time in nanoseconds since 1970.
func (c *clock) now() int64 {
	return max(c.offset.Load()+int64(time.Since(c.start)), c.floor.Load())
}

// set learns that the store read its clock as then at some moment between
// begin and end. The middle is assumed; within that uncertainty the old
// offset is as good as the new one and is kept, so a slow poll adds no jitter.
func (c *clock) set(then, begin, end time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	half := end.Sub(begin) / 2
	offset := then.UnixNano() - int64(begin.Add(half).Sub(c.start))
	if drift := time.Duration(offset - c.offset.Load()); drift.Abs() <= half+time.Millisecond {
		return
	}
	c.floor.Store(c.now())
	c.offset.Store(offset)
}
