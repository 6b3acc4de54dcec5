package doctor

import (
	"fmt"
	"strings"
	"time"

	"oauth2-server/cache"
)

const (
	redisSlow       = 5 * time.Millisecond // a replica gives up after 50; the database answers in less than this
	redisFull       = .90                  // of maxmemory
	evictingFast    = 1.0                  // keys a second: what is written is pushed out by what is written next
	redisClients    = .80                  // of maxclients
	replicaLag      = 10 * time.Second     // Redis says once a second how far it is
	slowLogRecent   = time.Hour
	slowCommandLong = 50 * time.Millisecond // everything else waits that long, and replicas give up
)

// redisChecks are of what Redis says of itself. It is a hint: losing it costs speed, and exact limits.
var redisChecks = []check{
	redisUnreachable, redisHosts, redisNode, redisReplica, redisLatency, redisNoBound, redisNoEviction, redisEvictions, redisConnections, redisReplication, redisSlowLog,
}

// nodes runs a check on every server of Redis that answered, and gives it what people ask that server with.
func nodes(f *Facts, look func(n *cache.Node, cli string) *Finding) []Finding {
	if f.Redis == nil {
		return nil
	}
	var found []Finding
	for i := range f.Redis.Nodes {
		if f.Redis.Nodes[i].Fault != "" {
			continue
		}
		if one := look(&f.Redis.Nodes[i], f.commands(nil).redis(f.Redis.Nodes[i].Addr)); one != nil {
			found = append(found, *one)
		}
	}
	return found
}

// redisNode tells of servers that do not answer, beside the way there, which is told already.
func redisNode(f *Facts) []Finding {
	if f.Redis == nil || f.RedisFault != nil {
		return nil
	}
	var found []Finding
	for _, n := range f.Redis.Nodes {
		if n.Fault == "" {
			continue
		}
		severity, cause := Warning, "it does not answer within the 50 ms that a replica waits, or refuses to"
		switch {
		case strings.Contains(n.Fault, "LOADING"):
			cause = "it was restarted and reads its data from disk: it is back when it has"
		case strings.Contains(n.Fault, "NOPERM") || strings.Contains(n.Fault, "unknown command"):
			severity, cause = Info, "it does not let our user ask INFO: how it is cannot be seen from here"
		}
		found = append(found, Finding{
			ID: "redis.node", Scenario: Health, Severity: severity, Evidence: n.Addr + ": " + n.Fault,
			Cause: cause, Fix: f.commands(nil).redisLog, Runbook: "#readiness-failing",
		})
	}
	return found
}

func redisReplica(f *Facts) []Finding {
	return nodes(f, func(n *cache.Node, _ string) *Finding {
		if n.Role != "slave" {
			return nil
		}
		link := "down"
		if n.LinkUp {
			link = "up"
		}
		return &Finding{
			ID: "redis.replica", Scenario: Health, Severity: Critical, Evidence: fmt.Sprintf("%s is a replica (its link to the primary is %s)", n.Addr, link),
			Cause: "OAUTH2_REDIS_URL names a replica, which takes no writes: nothing is cached, and every replica of the server counts limits alone",
			Fix:   "name the primary, or use redis+sentinel://… or redis+cluster://…, and restart the replicas", Runbook: "#too-many-rate-limit-rejections",
		}
	})
}

func redisLatency(f *Facts) []Finding {
	return nodes(f, func(n *cache.Node, cli string) *Finding {
		if n.Ping <= redisSlow {
			return nil
		}
		return &Finding{
			ID: "redis.latency", Scenario: Latency, Severity: Warning, Evidence: fmt.Sprintf("a PING of %s takes %s", n.Addr, inMillis(n.Ping)),
			Cause: "Redis is busy with long commands, swaps, or is far away: asking it costs more than asking the database",
			Fix:   cli + " --latency; " + cli + " slowlog get 10", Runbook: "#token-endpoint-slow",
		}
	})
}

// redisNoBound: what has no bound is ended by the kernel one day, with all it holds.
func redisNoBound(f *Facts) []Finding {
	return nodes(f, func(n *cache.Node, cli string) *Finding {
		if n.MaxMemory != 0 {
			return nil
		}
		return &Finding{
			ID: "redis.no_maxmemory", Scenario: Memory, Severity: Info, Evidence: fmt.Sprintf("maxmemory of %s is 0, %s used", n.Addr, size(n.Memory)),
			Cause: "Redis may grow until the kernel ends it; what it holds has a life of its own and goes, but a burst may be larger than the machine",
			Fix:   cli + " config set maxmemory 1gb; " + cli + " config set maxmemory-policy allkeys-lru", Runbook: "#memory-growth",
		}
	})
}

// redisNoEviction: a Redis that is full and evicts nothing refuses every write.
func redisNoEviction(f *Facts) []Finding {
	return nodes(f, func(n *cache.Node, cli string) *Finding {
		if n.MaxMemory == 0 || n.Policy != "noeviction" {
			return nil
		}
		used, severity := share(n.Memory, n.MaxMemory), Warning
		if used >= redisFull {
			severity = Critical
		}
		return &Finding{
			ID: "redis.noeviction", Scenario: Limits, Severity: severity, Evidence: fmt.Sprintf("maxmemory_policy of %s is noeviction, %s of %s used (%s)", n.Addr, size(n.Memory), size(n.MaxMemory), percent(used)),
			Cause: "once it is full Redis refuses writes: nothing new is cached, and every replica counts limits alone",
			Fix:   cli + " config set maxmemory-policy allkeys-lru", Runbook: "#too-many-rate-limit-rejections",
		}
	})
}

// redisEvictions: records that are evicted cost a trip to the database; counts of limits that are evicted set a client's count back to
// zero. All our keys have a life, so the policies for volatile keys are as those for all; volatile-ttl takes the counts first.
func redisEvictions(f *Facts) []Finding {
	return nodes(f, func(n *cache.Node, cli string) *Finding {
		severity := Warning
		switch {
		case n.EvictedNow >= evictingFast:
		case n.Policy == "volatile-ttl":
			severity = Info
		case n.Evicted > 0 && share(n.Memory, n.MaxMemory) >= redisFull:
			severity = Info
		default:
			return nil
		}
		return &Finding{
			ID: "redis.evictions", Scenario: Limits, Severity: severity,
			Evidence: fmt.Sprintf("%s evicts %.0f keys a second (%d in %s); policy %s, %s of %s used", n.Addr, n.EvictedNow, n.Evicted, rounded(n.Uptime), n.Policy, size(n.Memory), size(n.MaxMemory)),
			Cause:    "Redis is too small for the tokens in use: what it evicts is looked up in the database, and a limit whose count goes begins anew",
			Fix:      cli + " config set maxmemory 2gb; " + cli + " config set maxmemory-policy allkeys-lru", Runbook: "#too-many-rate-limit-rejections",
		}
	})
}

func redisConnections(f *Facts) []Finding {
	return nodes(f, func(n *cache.Node, cli string) *Finding {
		taken := share(int64(n.Clients), int64(n.MaxClients))
		if n.MaxClients == 0 || taken < redisClients {
			return nil
		}
		return &Finding{
			ID: "redis.connections", Scenario: Health, Severity: Warning,
			Evidence: fmt.Sprintf("%d of %d connections of %s taken, %d refused since its start", n.Clients, n.MaxClients, n.Addr, n.Rejected),
			Cause:    "Redis is about to refuse connections, which to a replica is as if it were down", Fix: cli + " config set maxclients 20000", Runbook: "#scaling",
		}
	})
}

func redisReplication(f *Facts) []Finding {
	return nodes(f, func(n *cache.Node, cli string) *Finding {
		if n.Lag < replicaLag {
			return nil
		}
		return &Finding{
			ID: "redis.replication", Scenario: Health, Severity: Warning, Evidence: fmt.Sprintf("a replica of %s was last heard of %s ago", n.Addr, rounded(n.Lag)),
			Cause: "the replica is overloaded or cut off: a failover to it forgets what it has not seen, which costs look-ups and sets counts of limits back",
			Fix:   cli + " info replication", Runbook: "#too-many-rate-limit-rejections",
		}
	})
}

func redisSlowLog(f *Facts) []Finding {
	return nodes(f, func(n *cache.Node, cli string) *Finding {
		if n.Slow < slowCommandLong || f.Local.Sub(n.SlowAt) > slowLogRecent {
			return nil
		}
		return &Finding{
			ID: "redis.slow_command", Scenario: Latency, Severity: Warning, Evidence: fmt.Sprintf("a command on %s took %s, %s ago", n.Addr, inMillis(n.Slow), ago(f.Local, n.SlowAt)),
			Cause: "another user of this Redis runs long commands (KEYS, large ranges): meanwhile it answers nobody", Fix: cli + " slowlog get 10", Runbook: "#token-endpoint-slow",
		}
	})
}
