package main

import (
	"bytes"
	"io/fs"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// self is what Linux says of this process; zero elsewhere.
type self struct {
	cpu               float64 // seconds used since the start
	resident          int64   // bytes
	files, filesLimit int
}

// ticks are the units of processor time in /proc, a second.
const ticks = 100

// Places in /proc/self/stat behind the name of the process (proc(5)).
const (
	statUser     = 11
	statSystem   = 12
	statResident = 21 // pages
)

func readSelf(system fs.FS) self {
	var s self
	stat, _ := fs.ReadFile(system, "proc/self/stat")
	_, behind, _ := bytes.Cut(stat, []byte(") ")) // the name of our binary holds no bracket
	if fields := bytes.Fields(behind); len(fields) > statResident {
		s.cpu = (number(fields[statUser]) + number(fields[statSystem])) / ticks
		s.resident = int64(number(fields[statResident])) * int64(os.Getpagesize())
	}
	if open, err := fs.ReadDir(system, "proc/self/fd"); err == nil {
		s.files = len(open)
	}
	limits, _ := fs.ReadFile(system, "proc/self/limits")
	for line := range strings.Lines(string(limits)) {
		if soft, ok := strings.CutPrefix(line, "Max open files"); ok {
			s.filesLimit, _ = strconv.Atoi(strings.Fields(soft + " 0")[0]) // "unlimited" is 0
		}
	}
	return s
}

// number is zero for what is none.
func number(text []byte) float64 {
	n, err := strconv.ParseFloat(string(bytes.TrimSpace(text)), 64)
	if err != nil {
		return 0
	}
	return n
}

// runs is what Go says of itself. Its processor times are as of the last collection.
type runs struct {
	heap       int64   // bytes live after the last collection
	collecting float64 // processor seconds, without those that were idle anyway
	busy       float64 // processor seconds
}

func readRuntime() runs {
	all := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
		{Name: "/cpu/classes/gc/mark/idle:cpu-seconds"},
		{Name: "/cpu/classes/total:cpu-seconds"},
		{Name: "/cpu/classes/idle:cpu-seconds"},
	}
	metrics.Read(all)
	idleMarks := all[2].Value.Float64()
	return runs{
		heap:       int64(all[0].Value.Uint64()),
		collecting: all[1].Value.Float64() - idleMarks,
		busy:       all[3].Value.Float64() - all[4].Value.Float64() - idleMarks,
	}
}

// A cpuSample is what was used up to a moment.
type cpuSample struct {
	at                                         time.Time
	used, collecting, busy, periods, throttled float64
}

// A cpuWindow holds the samples of the last minute, or since the start.
type cpuWindow struct{ samples []cpuSample }

// shares are of the last minute: of all processors that were used, of the used time that the collector took, and of the cgroup's
// periods that ended in throttling.
func (w *cpuWindow) shares(now cpuSample, processors int) (used, collecting, throttled float64) {
	w.samples = append(w.samples, now)
	if len(w.samples) > windowSamples+1 {
		w.samples = w.samples[1:]
	}
	then := w.samples[0]
	return ratio(now.used-then.used, now.at.Sub(then.at).Seconds()*float64(processors)),
		ratio(now.collecting-then.collecting, now.busy-then.busy),
		ratio(now.throttled-then.throttled, now.periods-then.periods)
}

// ratio is zero of nothing: JSON has no other number for it.
func ratio(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return max(part/whole, 0)
}

// hour remembers how low a value was, in parts of five minutes.
type hour struct {
	begun time.Time
	lows  [13]int64 // by number of the part, modulo; 0: not looked at
	part  int
}

const hourPart = 5 * time.Minute

// least keeps the value, and returns the least of the five minutes that ended 55 to 60 minutes ago. Before there are such it is the
// least of the first five minutes behind the first ones, in which a server warms up; before those are over, zero.
func (h *hour) least(now time.Time, value int64) int64 {
	if h.begun.IsZero() {
		h.begun = now
	}
	for part := int(now.Sub(h.begun) / hourPart); h.part < part; {
		h.part++
		h.lows[h.part%len(h.lows)] = 0
	}
	if low := &h.lows[h.part%len(h.lows)]; *low == 0 || value < *low {
		*low = value
	}
	for part := max(h.part-len(h.lows)+1, 1); part < h.part; part++ {
		if low := h.lows[part%len(h.lows)]; low != 0 {
			return low
		}
	}
	return 0
}
