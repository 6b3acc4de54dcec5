// Package load sends prepared HTTP/1.1 requests and measures the answers. It knows bytes and time, not OAuth.
//
//	plan.go       what to send: Shot, Source, Plan
//	rate.go       how often: Constant, Ramp, Steps
//	run.go        Run: the workers, from the first request to the last
//	schedule.go   when request n is due
//	worker.go     the closed and the open loop
//	pacer.go      waiting for a point in time
//	conn.go       a connection: request out, answer in, made again when lost
//	fault.go      why there is no answer
//	recorder.go   a sample's way from its worker to the collector
//	collector.go  samples into histograms and ticks
//	verdict.go    whether the run counts
//	outcome.go    what was measured
//
// In an open loop a latency counts from the time at which the request was due. A free worker takes the next request
// that is due and waits for its time; when none is free the request waits, and that is latency: a server that stands
// still cannot hide by keeping its clients from asking. What waited longer than Plan.Timeout, or is still waiting at the
// end, is an error "no free connection". How late a worker woke although its connection was free is the generator's own
// lag: in the latency as well, and the run does not count when it is large.
//
// A request is written to the connection as it is and the answer read by fasthttp's Response. Measured with 64
// connections against a fasthttp server that answers 20 bytes, on two cores that others used too: 87,000 requests a
// second took 0.97 of a core, and other runs 9 to 11 µs of CPU a request, four fifths of it in the kernel. A loop of bare
// reads and writes took 10 to 12 beside it, fasthttp's HostClient 10 to 11, wrk 8 to 11: a reader of our own would gain
// nothing. An open loop pays for its timers: 50,000 a second took 0.84 of a core. Timers of the kernel wake 30 µs late in
// the median, time.Sleep up to 1 ms.
package load
