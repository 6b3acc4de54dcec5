package limits

import (
	"fmt"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/store"
)

// What a rule can make of a request.
const (
	allowed = iota
	refused
	wouldRefuse  // in shadow: it is let pass
	trialRefused // by the trial value, whatever the live one says
	numDecisions
)

var decisionNames = [numDecisions]string{"allowed", "refused", "would_refuse", "trial_refuse"}

// decisionsOf are those that can be in a mode.
var decisionsOf = map[string][]int{
	store.LimitShadow:  {allowed, wouldRefuse, trialRefused},
	store.LimitEnforce: {allowed, refused, trialRefused},
	store.LimitBlock:   {refused},
}

// ruleMeters counts the permits of each decision in one mode. An allowed, a refused and a would-be refused request are
// different ones; a trial's refusal comes beside.
type ruleMeters [numDecisions]*metrics.Counter

func decisionSeries(name, mode string, decision int) string {
	return fmt.Sprintf(`oauth2_server_limit_decisions_total{rule=%q,mode=%q,decision=%q}`, name, mode, decisionNames[decision])
}

// register makes the series of a mode, which stay as long as the rule.
func (a *account) register(series *metrics.Set, name, mode string) *ruleMeters {
	m := a.meters[mode]
	if m == nil {
		m = new(ruleMeters)
		for _, d := range decisionsOf[mode] {
			m[d] = series.GetOrCreateCounter(decisionSeries(name, mode, d))
		}
		a.meters[mode] = m
	}
	return m
}

func (a *account) unregister(series *metrics.Set) {
	for mode := range a.meters {
		for _, d := range decisionsOf[mode] {
			series.UnregisterMetric(decisionSeries(a.rule.limit.Name, mode, d))
		}
	}
}

// counted is the permits of each decision since the account was opened, in all modes.
func (a *account) counted() (all [numDecisions]uint64) {
	for _, m := range a.meters {
		for d, counter := range m {
			if counter != nil {
				all[d] += counter.Get()
			}
		}
	}
	return all
}

// meters are the limiter's own measures.
type meters struct {
	trips      *metrics.Counter
	faults     *metrics.Counter
	saveFaults *metrics.Counter
	takenBack  *metrics.Counter
}

func newMeters(series *metrics.Set, l *Limiter) *meters {
	series.NewGauge("oauth2_server_limit_keys", func() float64 {
		l.mu.Lock()
		defer l.mu.Unlock()
		n := int64(0)
		for _, a := range l.accounts {
			n += a.newest.size.Load()
		}
		return float64(n)
	})
	series.NewGauge("oauth2_server_limit_alone", func() float64 {
		if l.trips != nil && l.trips.paused.Load() != 0 {
			return 1
		}
		return 0
	})
	return &meters{
		trips:      series.NewCounter("oauth2_server_limit_trips_total"),
		faults:     series.NewCounter("oauth2_server_limit_redis_faults_total"),
		saveFaults: series.NewCounter("oauth2_server_limit_save_faults_total"),
		takenBack:  series.NewCounter("oauth2_server_limit_taken_back_total"),
	}
}
