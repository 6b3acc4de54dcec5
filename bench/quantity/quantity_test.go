package quantity

import (
	"math"
	"testing"
	"time"
)

func TestNumbersHaveThreeDigitsAndAUnit(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(Duration(0), "0 s")
	f(Duration(840*time.Microsecond), "840 µs")
	f(Duration(1237*time.Microsecond), "1.24 ms")
	f(Duration(12*time.Second), "12 s")
	f(Duration(999_960*time.Microsecond), "1 s")
	f(Duration(10*time.Millisecond), "10 ms")
	f(Duration(100*time.Hour), "360,000 s")
	f(Seconds(0.0204), "20.4 ms")
	f(Seconds(math.NaN()), None)
	f(Rate(980), "980 /s")
	f(Rate(12_440), "12.4 k/s")
	f(Rate(0), "0 /s")
	f(Rate(math.Inf(1)), None)
	f(Number(3), "3")
	f(Number(0.0204), "0.0204")
	f(Number(1_000_000), "1 M")
	f(Number(-1234567), "-1.23 M")
	f(Bytes(96<<20), "96 MiB")
	f(Percent(0.042), "4.2 %")
	f(Percent(1), "100 %")
	f(Percent(123.45), "12,345 %")
	f(Percent(math.NaN()), None)
	f(Ratio(0.9712), "0.971×")
	f(Ratio(5), "5×")
	f(Ratio(math.NaN()), None)
}

func TestFactsAreWrittenByTheUnitInTheirName(t *testing.T) {
	f := func(name string, value float64, wantLabel, wantText string) {
		t.Helper()
		if label, text := Fact(name, value); label != wantLabel || text != wantText {
			t.Errorf("Fact(%q): got %q %q, want %q %q", name, label, text, wantLabel, wantText)
		}
	}
	f("recover_seconds", 0.84, "recover", "840 ms")
	f("capacity_per_second", 21_300, "capacity", "21.3 k/s")
	f("memory_slope_bytes", 2<<20, "memory slope", "2 MiB")
	f("cpu_percent", 96, "cpu", "96 %")
	f("available_share", 0.998, "available", "99.8 %")
	f("goodput_ratio", 0.93, "goodput", "0.93×")
	f("ratio_to_health", 0.75, "ratio to health", "0.75×")
	f("wrong_answers", 0, "wrong answers", "0")
	f("_seconds", 2, " seconds", "2")
}
