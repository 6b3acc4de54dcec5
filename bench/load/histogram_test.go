package load

import (
	"encoding/json"
	"testing"
	"time"
)

func TestHistogramQuantiles(t *testing.T) {
	var h Histogram
	for i := 1; i <= 1000; i++ {
		h.Record(time.Duration(i) * time.Millisecond)
	}
	f := func(name string, got, want time.Duration) {
		t.Helper()
		if (got - want).Abs() > want/500 { // three digits
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	f("p50", h.Quantile(0.5), 500*time.Millisecond)
	f("p99", h.Quantile(0.99), 990*time.Millisecond)
	f("p99.9", h.Quantile(0.999), 999*time.Millisecond)
	f("max", h.Max(), time.Second)
	f("mean", h.Mean(), 500500*time.Microsecond)
	if h.Count() != 1000 {
		t.Errorf("count is %d, want 1000", h.Count())
	}
	if above := h.CountAbove(900 * time.Millisecond); above < 99 || above > 101 {
		t.Errorf("%d above 900ms, want 100", above)
	}
}

func TestEmptyHistogramIsZero(t *testing.T) {
	var h Histogram
	h.Merge(Histogram{})
	h.Reset()
	if h.Quantile(0.99) != 0 || h.Max() != 0 || h.Mean() != 0 || h.Count() != 0 || h.CountAbove(0) != 0 {
		t.Errorf("an empty histogram has a number: %v %v %v %d", h.Quantile(0.99), h.Max(), h.Mean(), h.Count())
	}
}

func TestHistogramCountsWhatIsOutOfRange(t *testing.T) {
	var h Histogram
	for _, latency := range []time.Duration{-time.Second, 0, time.Nanosecond, time.Hour} {
		h.Record(latency)
	}
	if h.Count() != 4 || h.Max() < time.Minute || h.Quantile(0.75) != time.Microsecond {
		t.Errorf("count %d, p75 %v, max %v; want 4, 1µs, 1m0s", h.Count(), h.Quantile(0.75), h.Max())
	}
}

func TestHistogramMergeAddsUp(t *testing.T) {
	var a, b Histogram
	a.Record(time.Millisecond)
	b.Record(time.Second)
	a.Merge(b)
	if a.Count() != 2 || a.Max() < time.Second || b.Count() != 1 {
		t.Errorf("merged %d up to %v of %d, want 2 up to 1s of 1", a.Count(), a.Max(), b.Count())
	}
}

func TestOutcomeSurvivesJSON(t *testing.T) {
	kind := &Kind{}
	kind.add(sample{latency: 3 * time.Millisecond})
	kind.add(sample{latency: time.Second, fault: "timeout"})
	text, err := json.Marshal(&Outcome{Kinds: map[string]*Kind{"issue": kind, "revoke": {}}})
	if err != nil {
		t.Fatal(err)
	}
	var read Outcome
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	got := read.Kinds["issue"]
	if got.Latency.Max() != kind.Latency.Max() || got.FailLatency.Max() != kind.FailLatency.Max() || got.Errors["timeout"] != 1 {
		t.Errorf("read %v of %s", got, text)
	}
	if read.Kinds["revoke"].Latency.Count() != 0 {
		t.Errorf("an empty histogram came back with %d", read.Kinds["revoke"].Latency.Count())
	}
}

// FuzzDecode: a result file is read from outside. What decodes can be used, and says the same when encoded again.
func FuzzDecode(f *testing.F) {
	var h Histogram
	f.Add("")
	f.Add("HISTFAAAABl4nJNpmSzMwMDAxIAAzFCaEUoz2X+AMIAEQAHA")
	for _, latency := range []time.Duration{time.Microsecond, time.Millisecond, time.Minute} {
		h.Record(latency)
		text, err := h.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, err := Decode(text)
		if err != nil {
			return
		}
		again, err := read.Encode()
		if err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
		twice, err := Decode(again)
		if err != nil || twice.Count() != read.Count() || twice.Quantile(0.9) != read.Quantile(0.9) {
			t.Fatalf("%d up to %v became %d up to %v (%v)", read.Count(), read.Quantile(0.9), twice.Count(), twice.Quantile(0.9), err)
		}
		var sum Histogram
		sum.Merge(read)
	})
}
