package cache

import "time"

// An Inspection is how Redis is, as its doctor sees it.
type Inspection struct {
	Kind  string // "server" or "cluster"; who asks Sentinels comes to a server
	Nodes []Node // the server, or each primary of the cluster
}

// A Node is one Redis server.
type Node struct {
	Addr    string
	Fault   string // why it could not be asked; then the rest is empty
	Version string
	Uptime  time.Duration
	Ping    time.Duration // median of a few
	Role    string        // "master" or "slave", as Redis says
	Loading bool          // it reads its data from disk and answers nothing else

	Memory    int64  // bytes used
	MaxMemory int64  // bytes; 0: no bound
	Policy    string // maxmemory_policy

	Evicted    int64   // keys since the start
	EvictedNow float64 // keys a second, while it was looked at
	Rejected   int64   // connections since the start, for want of places
	Clients    int
	MaxClients int

	LinkUp   bool          // of a replica: it follows its primary
	Lag      time.Duration // of the replica that is furthest behind
	Replicas int           // that follow it

	SlowAt time.Time     // the newest entry of the slow log; zero: none
	Slow   time.Duration // what that took
}
