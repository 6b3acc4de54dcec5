// Package report draws results of the suite as one HTML page that needs nothing
// else: no script, no font, no network. Every chart is inline SVG made here,
// with its numbers in a table beside it.
//
//	report.go    Write: files in, page out
//	page.go      the page: verdicts, and where it ran; page.html lays it out
//	section.go   one scenario: figures, facts, what it took of the machine
//	side.go      one file's runs of a scenario, and the one drawn for them
//	verdict.go   passed, missed or void, in words
//	changes.go   what differs between two files beyond noise
//	timeline.go  the time axis that sides share, and what happened on it
//	time.go      charts over time: latency, throughput, memory
//	curve.go     percentiles, and latency against throughput
//	limit.go     the SLO's latencies as lines
//	chart.go     a chart: lines, marks, and what is read off it under the pointer
//	axis.go      scales and where their ticks stand
package report
