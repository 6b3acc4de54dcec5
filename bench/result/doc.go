// Package result is what a run of the suite leaves: a JSON file with everything
// needed to judge it, and to compare it with another.
//
//	run.go      Run and what it holds
//	file.go     File: many runs; Read and Write
//	machine.go  this machine
package result
