package main

import (
	"bytes"
	"io"
	"math"
	"strconv"
	"strings"
)

// windowSamples are as many as a replica takes in a minute, one each five seconds.
const windowSamples = 12

// A window is this replica's own metrics over the last minute: what /metrics says now less what it said then. Before the first minute
// is over it is what they say since the start, where all counters are zero.
type window struct {
	text   bytes.Buffer
	series []series       // in order of first sight; their number is bounded by the closed sets of labels
	places map[string]int // in series, by name and labels; -1: none of ours
	taken  [windowSamples][]float64
	next   int // of taken: the oldest
}

// A series is one line of /metrics that vitals are made of.
type series struct {
	family family
	key    string  // route, query, pool, outcome, or the name of a counter
	bound  float64 // of a bucket, seconds
	status string  // of a route: the HTTP status; of a query: its outcome
}

// A family is what a series is of.
type family int

const (
	familyRoute family = iota
	familyQuery
	familyPoolWaits
	familyPoolWaited
	familyLogins
	familyBusy
	familyUnbelieved
	familyOtherHost
	familyDenySet
	familyCount // of any other counter
)

// families have a meaning of their own. The label is the one that makes the key.
var families = map[string]struct {
	family        family
	label, status string
}{
	"http_request_duration_seconds_bucket": {familyRoute, "route", "status"},
	"db_query_duration_seconds_bucket":     {familyQuery, "query", "outcome"},
	"db_pool_waits_total":                  {familyPoolWaits, "pool", ""},
	"db_pool_wait_seconds_total":           {familyPoolWaited, "pool", ""},
	"logins_total":                         {familyLogins, "outcome", ""},
	"admin_logins_total":                   {familyLogins, "outcome", ""},
	"password_hasher_busy_total":           {familyBusy, "", ""},
	"proxy_headers_unbelieved_total":       {familyUnbelieved, "", ""},
	"other_host_requests_total":            {familyOtherHost, "", ""},
	"deny_set_size":                        {familyDenySet, "", ""},
}

const metricsPrefix = "oauth2_server_"

// sample takes the metrics, and says what they did in the window.
func (w *window) sample(write func(io.Writer)) *work {
	w.text.Reset()
	write(&w.text)
	oldest, now := w.taken[w.next], w.parse()
	done := newWork()
	for i, value := range now {
		then := 0.0
		if i < len(oldest) && oldest[i] <= value { // else the series went away and came back, as those of a limit do
			then = oldest[i]
		}
		done.add(&w.series[i], value, value-then)
	}
	w.taken[w.next] = now
	w.next = (w.next + 1) % len(w.taken)
	return done
}

// parse reads the text of /metrics into the places of the series. A series that is gone is zero.
func (w *window) parse() []float64 {
	values := make([]float64, len(w.series))
	for line := range bytes.Lines(w.text.Bytes()) {
		name, number, ok := cutSample(line)
		if !ok {
			continue
		}
		place, known := w.places[string(name)]
		if !known {
			place = w.learn(string(name))
		}
		if place < 0 {
			continue
		}
		value, err := strconv.ParseFloat(string(number), 64)
		if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			continue // JSON has no such numbers
		}
		for len(values) <= place {
			values = append(values, 0)
		}
		values[place] = value
	}
	return values
}

// cutSample splits a line of ours into the name with its labels, and the value.
func cutSample(line []byte) (name, number []byte, ok bool) {
	line = bytes.TrimRight(line, "\n")
	i := bytes.LastIndexByte(line, ' ')
	if i < 0 || !bytes.HasPrefix(line, []byte(metricsPrefix)) {
		return nil, nil, false
	}
	return line[len(metricsPrefix):i], line[i+1:], true
}

// learn gives a series that is seen for the first time its place, or none.
func (w *window) learn(name string) int {
	if w.places == nil {
		w.places = map[string]int{}
	}
	s, ok := parseSeries(name)
	if !ok {
		w.places[name] = -1
		return -1
	}
	w.series = append(w.series, s)
	w.places[name] = len(w.series) - 1
	return len(w.series) - 1
}

func parseSeries(name string) (series, bool) {
	base, labels, _ := strings.Cut(name, "{")
	f, known := families[base]
	switch {
	case known:
		s := series{family: f.family, key: label(labels, f.label), status: label(labels, f.status)}
		var err error
		if bound := label(labels, "le"); bound != "" {
			s.bound, err = strconv.ParseFloat(bound, 64)
		}
		return s, err == nil
	case strings.HasSuffix(base, "_total") && base != "http_requests_total":
		return series{family: familyCount, key: name}, true
	}
	return series{}, false
}

// label is the value of a label; "": there is none. No value of ours holds a quotation mark or a comma.
func label(labels, name string) string {
	for one := range strings.SplitSeq(strings.TrimSuffix(labels, "}"), ",") {
		if is, value, _ := strings.Cut(one, "="); is == name && name != "" {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}
