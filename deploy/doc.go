// Package deploy is how the server is run elsewhere. It holds no server code
// and imports none.
//
//	private/   private Postgres and Redis processes, and a TCP proxy that
//	           delays, blocks and cuts, for tests and benchmarks
//	limits.md  tuning rate limits live
//	connect.md connecting applications, in Go, Node, Python and a page
package deploy
