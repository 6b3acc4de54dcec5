// Package usage watches, once a second, what the parts of a measurement take of
// the machine: CPU and memory, from /proc (Linux).
//
//	usage.go       Sample and Part; Watch
//	proc.go        what /proc says of a process and of the machine
//	bottleneck.go  which part ran into its limit
package usage
