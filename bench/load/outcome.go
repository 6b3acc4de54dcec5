package load

import "time"

// An Outcome is what was measured.
type Outcome struct {
	Kinds      map[string]*Kind // by Shot.Kind
	Total      Kind
	Ticks      []Tick
	Elapsed    time.Duration // the part that was recorded: Plan.Duration, or less when the run was cut short
	Throughput float64       // good answers a second
	Intended   float64       // requests a second asked for, on average; 0 in a closed loop
	Generator  Generator
}

// A Kind is what became of the requests of one kind.
type Kind struct {
	Requests    int64            // all, the bad ones too
	Errors      map[string]int64 `json:",omitempty"` // by the reason
	Latency     Histogram        // of good answers
	FailLatency Histogram        // of errors: how long refusals and timeouts took
}

// Failed is the number of errors of all reasons.
func (k *Kind) Failed() int64 {
	sum := int64(0)
	for _, n := range k.Errors {
		sum += n
	}
	return sum
}

// A Tick is about one second of a run.
type Tick struct {
	At               time.Duration // its end, since the end of the warm-up
	Requests, Errors int64         // Requests counts all answers, Errors the bad ones
	P50, P99, Max    time.Duration // of good answers; 0 when there are none
	Rate             float64       // answers a second
	Offered          float64       // requests a second that were due; 0 in a closed loop
}

// Generator says whether the run counts: whether the generator kept its own pace.
type Generator struct {
	Kept   bool
	Why    string        // in words, when it did not
	LagP99 time.Duration // how late requests left although a connection was free; open loop only
	CPU    float64       // cores this process used
}
