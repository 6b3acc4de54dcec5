// Package compare tells a change from noise: runs of a scenario before and
// after, repeated, paired by what was measured.
//
//	compare.go   Compare and its Options
//	row.go       one measured thing, before and after; the verdict
//	values.go    what of a run is compared, and which way is better
//	rank.go      the test of Mann and Whitney, exact
package compare
