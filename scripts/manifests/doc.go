// Package manifests holds no code but tests: they render the files in deploy that Kubernetes, Helm and Docker Compose read,
// decode them as strictly as a cluster would, and hold them against each other and against the binary. It is a module of
// its own, so that those who build the server need nothing of Kubernetes.
//
//	render_test.go     the overlays and the chart, as objects
//	decode_test.go     the kinds of objects, strictly
//	links_test.go      what names what: selectors, ports, secrets, targets
//	pods_test.go       how pods must be hardened
//	probes_test.go     what probes ask of an overloaded server
//	network_test.go    which ports are open, evictions, bounds of Redis
//	server_test.go     what the binary says to its variables and paths
//	chart_test.go      the chart against the base, its schema, lint
//	isolation_test.go  what the network policies let in and out
//	rollout_test.go    where replicas lie, how they are taken away, what runs before them
//	rules_test.go      the copies of the alert rules
//	compose_test.go    the Compose files
package manifests
