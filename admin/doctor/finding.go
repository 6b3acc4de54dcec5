package doctor

import "regexp"

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	Info     Severity = "info"     // worth knowing; nothing to mend
	Warning  Severity = "warning"  // will hurt, or hurts a little
	Critical Severity = "critical" // hurts users now, or breaks a promise
)

// rank orders severities, the worst first.
var rank = map[Severity]int{Critical: 0, Warning: 1, Info: 2}

// A Finding is one thing that is not as it should be, or worth knowing.
type Finding struct {
	ID       string   `json:"id" doc:"of the check, like health.replica_silent; stable"`
	Scenario string   `json:"scenario"`
	Severity Severity `json:"severity" enum:"info,warning,critical"`
	Evidence string   `json:"evidence" doc:"the figure, and of what"`
	Cause    string   `json:"cause" doc:"one sentence"`
	Fix      string   `json:"fix" doc:"a command where there is one"`
	Runbook  string   `json:"runbook" doc:"page and heading; checks give the heading alone"`
}

// plainWord is text in which no shell and no quotes of SQL see more than a word.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_.:/][A-Za-z0-9_.:/-]*$`)

// word is text of somebody else, a name mostly, for a fix: people paste it. What is no plain word is told in the evidence alone, and
// named by what stands for it.
func word(text, instead string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return instead
}

// A Report is what was found, the worst first. Empty: nothing is wrong.
type Report struct {
	Findings []Finding `json:"findings"`
}

// Bad reports whether anything is to be mended: one finding is more than worth knowing.
func (r *Report) Bad() bool {
	for _, f := range r.Findings {
		if f.Severity != Info {
			return true
		}
	}
	return false
}

// Scenarios are what can be asked for; All is every one of them.
var Scenarios = []string{Health, Latency, Deploy, Database, Tokens, Storage, Memory, Limits, Login, Keys}

// The scenarios of the runbook.
const (
	Health   = "health"
	Latency  = "latency"
	Deploy   = "deploy"
	Database = "database"
	Tokens   = "tokens"
	Storage  = "storage"
	Memory   = "memory"
	Limits   = "limits"
	Login    = "login"
	Keys     = "keys"
	All      = "all"
)
