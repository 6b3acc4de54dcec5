// Package scenario is what the suite plays: one file a scenario or family, each of which asks a question of the runbook and
// tells its answer in facts.
//
//	scenario.go    Scenario and Env; all there are
//	stage.go       what every scenario stands on: phases, facts, faults
//	requests.go    requests and what is a wrong answer to them
//	ledger.go      what was acknowledged, and must hold afterwards
//	family.go      refresh tokens, and what must hold of them
//	population.go  tokens by Zipf's law, with garbage, revoked and expired ones
//	balancer.go    the balancer of a rolling restart
//	limit.go       the highest rate that keeps an SLO
//
// A phase is a load with a name. A fault has three: before, during, after.
package scenario
