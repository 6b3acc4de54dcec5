package result

import (
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/usage"
)

// Version of the format. Files of another are refused.
const Version = 1

// A Run is one scenario, played once. The scenario fills Phases and Facts (and Usage in the phases); who plays it
// fills the rest with [Run.Settle] and its own knowledge.
type Run struct {
	Version    int                `json:"version"`
	Scenario   string             `json:"scenario"`
	Title      string             `json:"title"`
	Question   string             `json:"question"` // of the runbook, which the run answers
	Started    time.Time          `json:"started"`
	Flags      map[string]string  `json:"flags"` // those that were given, secrets left out
	Machine    Machine            `json:"machine"`
	Server     Server             `json:"server"`
	Phases     []Phase            `json:"phases"`
	Facts      map[string]float64 `json:"facts,omitempty"` // like "recover_seconds", "wrong_answers", "ratio_to_health"; a name holds a "_", which tells it from a metric in an SLO
	Floor      *Floor             `json:"floor,omitempty"`
	SLO        string             `json:"slo"`
	Missed     []string           `json:"missed"` // in words; empty: the SLO holds
	Counts     bool               `json:"counts"` // false: the generator could not keep its rate, and nothing is proved
	Why        string             `json:"why,omitempty"`
	Bottleneck string             `json:"bottleneck,omitempty"` // like "Postgres CPU 96 %"
}

// A Phase is a stretch of a run with a load of its own. The first phase of a run is the one that its SLO and the
// table speak of, unless one is named [Main].
type Phase struct {
	Name    string         `json:"name"`
	Outcome *load.Outcome  `json:"outcome"`
	Usage   []usage.Sample `json:"usage,omitempty"`
	// Probe: the load was meant to be more than can be served or sent, so that a generator that could not keep its rate spoils nothing.
	Probe bool `json:"probe,omitempty"`
}

// Main is the name of the phase that a run is judged by, where it has several.
const Main = "main"

// A Machine is what the run shared its cores with: everything ran on it.
type Machine struct {
	CPU    string `json:"cpu"` // model
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory"` // bytes
	Kernel string `json:"kernel"`
	Go     string `json:"go"` // of the generator
}

// A Server is what was measured. Of a server that is not ours, only the URL is known.
type Server struct {
	URL      string            `json:"url,omitempty"`
	Replicas int               `json:"replicas"`
	Version  string            `json:"version,omitempty"`
	Revision string            `json:"revision,omitempty"` // of git
	Go       string            `json:"go,omitempty"`
	Postgres string            `json:"postgres,omitempty"` // version
	Redis    string            `json:"redis,omitempty"`    // version
	Settings map[string]string `json:"settings,omitempty"` // of Postgres, those that matter: fsync, synchronous_commit, shared_buffers
}

// A Floor is what the machine and HTTP alone cost, measured by the same generator before the run, in a closed loop.
type Floor struct {
	Health      float64       `json:"health"` // good answers a second of the server's own /health; 0: it has none
	HealthP99   time.Duration `json:"health_p99"`
	Empty       float64       `json:"empty"` // of an empty fasthttp handler in a process of its own
	EmptyP99    time.Duration `json:"empty_p99"`
	Connections int           `json:"connections"`
}

// Main is the phase that the run is judged by; nil when the run has none.
func (r *Run) Main() *Phase {
	for i := range r.Phases {
		if r.Phases[i].Name == Main {
			return &r.Phases[i]
		}
	}
	if len(r.Phases) == 0 {
		return nil
	}
	return &r.Phases[0]
}

// Passed reports whether the run counts and its SLO holds.
func (r *Run) Passed() bool { return r.Counts && len(r.Missed) == 0 }

// Settle fills what follows from the phases: whether the run counts, and its bottleneck.
func (r *Run) Settle() {
	r.Version, r.Counts, r.Why = Version, true, ""
	for _, p := range r.Phases {
		if p.Outcome != nil && !p.Probe && !p.Outcome.Generator.Kept && r.Counts {
			r.Counts, r.Why = false, p.Name+": "+p.Outcome.Generator.Why
		}
	}
	if main := r.Main(); main != nil {
		r.Bottleneck = usage.Bottleneck(main.Usage, max(1, r.Machine.Cores))
	}
}
