package quantity

import "strings"

// A shape is how facts of one ending (or beginning) of name are written.
type shape struct {
	affix string
	write func(float64) string
}

// Endings are taken off the name that is shown: the unit says it.
var endings = []shape{
	{"_seconds", Seconds},
	{"_per_second", Rate},
	{"_bytes", Bytes},
	{"_percent", func(x float64) string { return Percent(x / 100) }},
	{"_share", Percent},
	{"_ratio", Ratio},
}

// Fact writes a fact of a run, whose name ends in its unit: recover_seconds
// 0.84 is "recover", "840 ms".
func Fact(name string, value float64) (label, text string) {
	for _, e := range endings {
		if rest, ok := strings.CutSuffix(name, e.affix); ok && rest != "" {
			return words(rest), e.write(value)
		}
	}
	if strings.HasPrefix(name, "ratio_to_") {
		return words(name), Ratio(value)
	}
	return words(name), Number(value)
}

func words(name string) string {
	return strings.ReplaceAll(name, "_", " ")
}
