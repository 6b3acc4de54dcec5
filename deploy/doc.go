// Package deploy is how the server is run elsewhere. It holds no server code
// and imports none.
//
//	private/   private Postgres and Redis processes, and a TCP proxy that
//	           delays, blocks and cuts, for tests and benchmarks
//	Dockerfile, compose.yaml, kustomize/, helm/, systemd/
//	           the server in a container, on one machine, in a cluster
//	backup/    dump, restore and check
//	prometheus/, grafana/
//	           rules with their tests, dashboards
//	runbook.md what to do when something is wrong, by symptom
//	production.md
//	           checklist, sizes, ten and a hundred times the load
//	limits.md  tuning rate limits live
//	connect.md connecting applications, in Go, Node, Python and a page
package deploy
