package report

import (
	"math"
	"strings"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/usage"
)

// finest is how many points a line over time has at most, phases aside; longer runs have several seconds a point.
const finest = 90

// A timeline is the time axis that all sides of a scenario share: phase after
// phase, each as long as on the side where it took longest.
type timeline struct {
	phases []stretch
	slots  []slot
	every  float64 // seconds a slot
	total  float64 // seconds
}

// A stretch is a phase's place on it.
type stretch struct {
	name     string
	from, to float64 // seconds
	first    int     // slot
	slots    int
}

// A slot is the time that a point stands for.
type slot struct {
	middle, end float64
	last        bool // of its phase
}

func newTimeline(sides []*side) *timeline {
	t := new(timeline)
	for _, s := range sides {
		for i, p := range s.phases() {
			if i == len(t.phases) {
				t.phases = append(t.phases, stretch{name: p.Name})
			}
			t.phases[i].to = max(t.phases[i].to, length(p))
		}
	}
	for i := range t.phases {
		p := &t.phases[i]
		p.from, p.to = t.total, t.total+p.to
		t.total = p.to
	}
	t.every = math.Max(1, math.Ceil(t.total/finest-slack))
	for i := range t.phases {
		t.part(&t.phases[i])
	}
	return t
}

// slack is the part of a slot by which the end of its last second may be late, and of a second by which there may be more slots.
const slack = 0.25

// part parts a phase into slots.
func (t *timeline) part(p *stretch) {
	p.first, p.slots = len(t.slots), int(math.Max(1, math.Ceil((p.to-p.from)/t.every-slack)))
	for i := range p.slots {
		from, to := p.from+float64(i)*t.every, p.from+float64(i+1)*t.every
		last := i == p.slots-1
		if last {
			to = p.to
		}
		t.slots = append(t.slots, slot{middle: (from + to) / 2, end: to, last: last})
	}
}

// longest is the slots of the phase that has most.
func (t *timeline) longest() int {
	most := 0
	for _, p := range t.phases {
		most = max(most, p.slots)
	}
	return most
}

// slot is the one that a moment of a phase belongs to.
func (t *timeline) slot(phase int, at time.Duration) int {
	p := t.phases[phase]
	return p.first + min(max(0, int(math.Ceil(at.Seconds()/t.every-slack))-1), p.slots-1)
}

// bands are the phases; a single one needs none.
func (t *timeline) bands() []band {
	if len(t.phases) < 2 {
		return nil
	}
	var bands []band
	for _, p := range t.phases {
		bands = append(bands, band{from: p.from, to: p.to, Name: p.name})
	}
	return bands
}

// A moment is what happened in a slot, as seconds, rates and bytes.
type moment struct {
	p50, p99, max      float64 // 0 when there was no good answer
	good, bad, offered float64 // a second
	memory             float64 // of the server, all replicas
	ticks              float64 // 0: nothing is known of it
}

// moments of a side, one a slot.
func (t *timeline) moments(s *side) []moment {
	moments := make([]moment, len(t.slots))
	for i, p := range s.phases() {
		for _, tick := range p.Outcome.Ticks {
			moments[t.slot(i, tick.At)].add(tick)
		}
		for _, sample := range p.Usage {
			m := &moments[t.slot(i, sample.At)]
			m.memory = math.Max(m.memory, serverMemory(sample))
		}
	}
	return moments
}

// add takes a second into the slot: the worst p99 and max, and the mean of the rest.
func (m *moment) add(t load.Tick) {
	mean := func(old, next float64) float64 { return old + (next-old)/(m.ticks+1) }
	good, bad := parts(t)
	m.good, m.bad, m.offered = mean(m.good, good), mean(m.bad, bad), mean(m.offered, t.Offered)
	m.p50 = mean(m.p50, t.P50.Seconds())
	m.p99, m.max = math.Max(m.p99, t.P99.Seconds()), math.Max(m.max, t.Max.Seconds())
	m.ticks++
}

// parts are the rates of right and of wrong answers in a second.
func parts(t load.Tick) (good, bad float64) {
	if t.Requests == 0 {
		return 0, 0
	}
	bad = t.Rate * float64(t.Errors) / float64(t.Requests)
	return t.Rate - bad, bad
}

// serverMemory is what all replicas hold.
func serverMemory(s usage.Sample) float64 {
	sum := 0.0
	for name, part := range s.Parts {
		if strings.HasPrefix(name, usage.Server) {
			sum += float64(part.RSS)
		}
	}
	return sum
}
