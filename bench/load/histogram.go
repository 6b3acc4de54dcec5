package load

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Histogram counts latencies of 1 µs to 60 s to three digits; what lies
// outside is counted at the nearer end. The zero value is empty and ready. A
// copy shares what it counts with its original. Not for concurrent use.
type Histogram struct{ counts *hdrhistogram.Histogram }

const (
	lowest  = int64(1)                              // µs
	highest = int64(time.Minute / time.Microsecond) // µs
	digits  = 3
)

// Record counts a latency.
func (h *Histogram) Record(latency time.Duration) {
	micros := min(max(int64(latency/time.Microsecond), lowest), highest)
	if err := h.made().RecordValue(micros); err != nil {
		panic(fmt.Sprintf("BUG: record %d µs: %v", micros, err))
	}
}

func (h *Histogram) made() *hdrhistogram.Histogram {
	if h.counts == nil {
		h.counts = hdrhistogram.New(lowest, highest, digits)
	}
	return h.counts
}

// Quantile is the latency that the part q of all (0 … 1) does not exceed; 0 when nothing was counted.
func (h Histogram) Quantile(q float64) time.Duration {
	if h.counts == nil {
		return 0
	}
	return time.Duration(h.counts.ValueAtQuantile(100*q)) * time.Microsecond
}

// Max is the largest latency; 0 when nothing was counted.
func (h Histogram) Max() time.Duration {
	if h.counts == nil {
		return 0
	}
	return time.Duration(h.counts.Max()) * time.Microsecond
}

// Mean is the average latency; 0 when nothing was counted.
func (h Histogram) Mean() time.Duration {
	if h.counts == nil {
		return 0
	}
	return time.Duration(h.counts.Mean() * float64(time.Microsecond))
}

// Count is how many latencies were counted.
func (h Histogram) Count() int64 {
	if h.counts == nil {
		return 0
	}
	return h.counts.TotalCount()
}

// CountAbove is how many latencies exceed limit, to the histogram's three digits.
func (h Histogram) CountAbove(limit time.Duration) int64 {
	if h.counts == nil {
		return 0
	}
	above := int64(0)
	for _, bar := range h.counts.Distribution() {
		if bar.From > int64(limit/time.Microsecond) {
			above += bar.Count
		}
	}
	return above
}

// Merge adds what from counted.
func (h *Histogram) Merge(from Histogram) {
	if from.counts != nil {
		h.made().Merge(from.counts)
	}
}

// Reset forgets everything.
func (h *Histogram) Reset() {
	if h.counts != nil {
		h.counts.Reset()
	}
}

// Encode is the histogram in HdrHistogram's compressed base64 form, "" when it is empty.
func (h Histogram) Encode() (string, error) {
	if h.Count() == 0 {
		return "", nil
	}
	text, err := h.counts.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return "", fmt.Errorf("encode histogram: %w", err)
	}
	return string(text), nil
}

// Decode reads what Encode wrote.
func Decode(text string) (Histogram, error) {
	if text == "" {
		return Histogram{}, nil
	}
	counts, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return Histogram{}, fmt.Errorf("decode histogram: %w", err)
	}
	return Histogram{counts}, nil
}

// MarshalText is Encode.
func (h Histogram) MarshalText() ([]byte, error) {
	text, err := h.Encode()
	return []byte(text), err
}

// UnmarshalText is Decode.
func (h *Histogram) UnmarshalText(text []byte) (err error) {
	*h, err = Decode(string(text))
	return err
}
