// Package quantity writes measured numbers the way people read them: at most
// three digits, and a unit.
package quantity

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// None stands where nothing was measured.
const None = "–"

// A unit is a name and how many of the smallest unit it holds.
type unit struct {
	name string
	size float64
}

var (
	durations = []unit{{"ns", 1}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}}
	thousands = []unit{{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}}
	bytes     = []unit{{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}
)

// Duration writes d: "840 µs", "1.24 ms", "12 s".
func Duration(d time.Duration) string {
	if d == 0 {
		return "0 s"
	}
	return in(durations, float64(d), " ")
}

// Seconds writes a duration given in seconds.
func Seconds(s float64) string {
	if !finite(s) {
		return None
	}
	return Duration(time.Duration(s * float64(time.Second)))
}

// Rate writes a number of events a second: "12.4 k/s", "980 /s".
func Rate(perSecond float64) string {
	if !finite(perSecond) {
		return None
	}
	digits, name := scaled(thousands, perSecond)
	return digits + " " + name + "/s"
}

// Number writes a plain number: "12.4 k", "3", "0.02".
func Number(x float64) string {
	return in(thousands, x, " ")
}

// Bytes writes a size: "96 MiB".
func Bytes(n float64) string {
	return in(bytes, n, " ")
}

// Percent writes a share of one: 0.042 is "4.2 %".
func Percent(share float64) string {
	if !finite(share) {
		return None
	}
	digits, _ := scaled(thousands[:1], share*100)
	return digits + " %"
}

// Ratio writes how many times one is the other: "0.97×".
func Ratio(x float64) string {
	if !finite(x) {
		return None
	}
	digits, _ := scaled(thousands[:1], x)
	return digits + "×"
}

// in writes x in the largest unit that leaves a digit before the point.
func in(units []unit, x float64, space string) string {
	if !finite(x) {
		return None
	}
	digits, name := scaled(units, x)
	if name == "" {
		return digits
	}
	return digits + space + name
}

// scaled returns the digits and the unit of x. A number that rounding lifts to
// 1000 takes the next unit.
func scaled(units []unit, x float64) (digits, name string) {
	i := 0
	for i+1 < len(units) && math.Abs(x)/units[i].size >= units[i+1].size/units[i].size*(1-0.0005) {
		i++
	}
	return three(x / units[i].size), units[i].name
}

// three writes x with three digits, fewer where the last are zeros, and with
// commas where it has more before the point.
func three(x float64) string {
	decimals := 0
	if a := math.Abs(x); a > 0 && a < 999.5 {
		decimals = max(0, 2-int(math.Floor(math.Log10(a))))
	}
	// Below a millionth there is nothing to read.
	text := strconv.FormatFloat(x, 'f', min(decimals, 6), 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		return "0"
	}
	return commas(text)
}

// commas parts the digits of a whole number by threes.
func commas(text string) string {
	if strings.Contains(text, ".") || len(strings.TrimLeft(text, "-")) < 5 {
		return text
	}
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func finite(x float64) bool {
	return !math.IsNaN(x) && !math.IsInf(x, 0)
}
