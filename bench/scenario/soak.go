package scenario

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"oauth2-server/bench/result"
	"oauth2-server/bench/stack"
	"oauth2-server/bench/usage"
)

func soak() *Scenario {
	return &Scenario{
		Name: "soak", Title: "steady traffic for long: memory and file descriptors",
		Question:     "The server's memory usage is growing: does it, once its caches are full, and do file descriptors leak?",
		SLO:          "wrong_answers<=0,available_share>=0.999,memory_growth_ratio<=1.5,file_descriptors_grown<=16,lost_tokens<=0,lost_revocations<=0",
		StackOnly:    true,
		StackOptions: stack.Options{Env: []string{"OAUTH2_CACHE_MIB=8"}}, // full soon
		play:         playSoak,
	}
}

// soakConnections are so few that all are open soon: what is opened later was leaked.
const soakConnections = 16

// soaking is how many times longer than other main phases this one is.
const soaking = 30

func playSoak(ctx context.Context, s *stage) error {
	t, err := s.newTraffic(ctx, traffic{introspect: 55, fresh: 15, issue: 20, revoke: 3})
	if err != nil {
		return err
	}
	long := soaking * s.span
	if s.Quick || s.Duration > 0 {
		long = 4 * s.span
	}
	early, late := 0, 0
	plan := through(soakConnections, s.open(s.rate(faultRate), 2*long, s.sources(t)))
	o, err := s.until(ctx, result.Main, plan, func(ctx context.Context) (err error) {
		if err := sleep(ctx, long/4); err != nil {
			return err
		}
		early = s.descriptors()
		err = sleep(ctx, long-long/4)
		late = s.descriptors()
		return err
	})
	if err != nil {
		return err
	}
	memory := replicaMemory(s.run.Main().Usage)
	s.fact("available_share", goodShare(o))
	s.fact("file_descriptors_grown", float64(late-early))
	s.fact("memory_growth_ratio", growth(memory))
	if len(memory) >= slopeSamples {
		s.fact("memory_slope_per_hour_bytes", slope(memory[len(memory)/2:])*time.Hour.Seconds())
	}
	return s.verify(ctx, t.ledger)
}

// slopeSamples are the seconds below which a slope says nothing about hours.
const slopeSamples = 60

// descriptors is how many file descriptors the replicas have open.
func (s *stage) descriptors() int {
	sum := 0
	for _, r := range s.Stack.Replicas() {
		open, _ := os.ReadDir("/proc/" + strconv.Itoa(r.Pid()) + "/fd") // Linux; elsewhere none are seen
		sum += len(open)
	}
	return sum
}

// A measure is a number at a time.
type measure struct{ seconds, value float64 }

// replicaMemory is the resident memory of all replicas together, in bytes.
func replicaMemory(samples []usage.Sample) []measure {
	var all []measure
	for _, sample := range samples {
		m := measure{seconds: sample.At.Seconds()}
		for name, part := range sample.Parts {
			if strings.HasPrefix(name, usage.Server) {
				m.value += float64(part.RSS)
			}
		}
		all = append(all, m)
	}
	return all
}

// growth is how many times the mean of the second quarter the mean of the last quarter is: by then what can be full is.
func growth(all []measure) float64 {
	if len(all) < 4 {
		return 1
	}
	return ratio(mean(all[len(all)-len(all)/4:]).value, mean(all[len(all)/4:len(all)/2]).value)
}

func mean(all []measure) (m measure) {
	for _, one := range all {
		m.seconds += one.seconds / float64(len(all))
		m.value += one.value / float64(len(all))
	}
	return m
}

// slope is how fast the value grows, a second, by least squares.
func slope(all []measure) float64 {
	m, above, below := mean(all), 0.0, 0.0
	for _, one := range all {
		above += (one.seconds - m.seconds) * (one.value - m.value)
		below += (one.seconds - m.seconds) * (one.seconds - m.seconds)
	}
	if below == 0 {
		return 0
	}
	return above / below
}
