package doctor

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"oauth2-server/cache"
	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

func startRedis(t *testing.T, args ...string) *private.Redis {
	t.Helper()
	server, err := private.StartRedis(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// redisFacts is what Gather sees of Redis.
func redisFacts(t *testing.T, url string) *Facts {
	t.Helper()
	options, err := redis.ParseURL(url) // more patient than the server: the machine may be busy
	if err != nil {
		t.Fatal(err)
	}
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	defer client.Close()
	return Gather(t.Context(), Sources{
		Store: openStore(t), Redis: client, ReachRedis: func(ctx context.Context) []store.Reach { return cache.Reach(ctx, url) },
	})
}

// redisOwn are the findings about Redis alone.
func redisOwn(f *Facts) (found []Finding) {
	for _, one := range Judge(f, All).Findings {
		if strings.HasPrefix(one.ID, "redis.") {
			found = append(found, one)
		}
	}
	return found
}

func TestHealthyRedis(t *testing.T) {
	server := startRedis(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	f := redisFacts(t, server.URL())
	f.Redis.Nodes[0].Ping = time.Millisecond // the machine may be busy
	if found := redisOwn(f); len(found) != 0 {
		t.Errorf("got %+v", found)
	}
	f = redisFacts(t, startRedis(t).URL())
	f.Redis.Nodes[0].Ping = time.Millisecond
	found := redisOwn(f)
	if len(found) != 1 || found[0].ID != "redis.no_maxmemory" || found[0].Severity != Info || found[0].Scenario != Memory {
		t.Errorf("got %+v of a Redis with its own defaults", found)
	}
}

func TestRedisUnreachable(t *testing.T) {
	server := startRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	if err := client.ConfigSet(t.Context(), "requirepass", "right").Err(); err != nil {
		t.Fatal(err)
	}
	for url, step := range map[string]string{
		"redis://:hunter2@" + server.Addr(): store.StepAuthentication,
		"redis://127.0.0.1:1":               store.StepTCP,
		"redis://no-such-host.invalid:6379": store.StepName,
	} {
		f := redisFacts(t, url)
		wants(t, f, Health, "redis.unreachable", Warning, "the step "+step+":")
		if found := redisOwn(f); len(found) != 1 || found[0].Scenario != Health || strings.Contains(found[0].Evidence, "hunter2") {
			t.Errorf("%s: got %+v", step, found)
		}
	}
}

func TestRedisHung(t *testing.T) {
	server := startRedis(t)
	server.Stop()
	defer server.Continue()
	wants(t, redisFacts(t, server.URL()), Health, "redis.unreachable", Warning, "no answer")
}

func TestRedisReplica(t *testing.T) {
	host, port, _ := strings.Cut(startRedis(t).Addr(), ":")
	replica := startRedis(t, "--replicaof", host, port)
	wants(t, redisFacts(t, replica.URL()), Limits, "redis.replica", Critical, replica.Addr()+" is a replica")
}

func TestRedisFull(t *testing.T) {
	server := startRedis(t, "--maxmemory", "8mb", "--maxmemory-policy", "noeviction")
	wants(t, redisFacts(t, server.URL()), Limits, "redis.noeviction", Warning, "of 8.0 MiB used")
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	for i := 0; ; i++ {
		if client.Set(t.Context(), strconv.Itoa(i), strings.Repeat("x", 10_000), time.Hour).Err() != nil {
			break // full
		}
	}
	wants(t, redisFacts(t, server.URL()), Limits, "redis.noeviction", Critical, "of 8.0 MiB used")
}

func TestRedisEvicts(t *testing.T) {
	server := startRedis(t, "--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru")
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	ctx, stop := context.WithCancel(t.Context())
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ctx.Err() == nil; i++ {
			_ = client.Set(ctx, strconv.Itoa(i), strings.Repeat("x", 10_000), time.Hour).Err() // it fails when it is stopped
			if i == 1000 {
				close(begun)
			}
		}
	}()
	<-begun
	wants(t, redisFacts(t, server.URL()), Limits, "redis.evictions", Warning, "policy allkeys-lru")
	stop()
	<-ended
}

func TestRedisFar(t *testing.T) {
	server := startRedis(t)
	proxy, err := private.StartProxy(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	proxy.SetDelay(6 * time.Millisecond)
	wants(t, redisFacts(t, "redis://"+proxy.Addr()), Latency, "redis.latency", Warning, "PING")
}

func TestRedisConnections(t *testing.T) {
	server := startRedis(t, "--maxclients", "10")
	for range 8 {
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 1})
		t.Cleanup(func() { client.Close() })
		if err := client.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, redisFacts(t, server.URL()), Health, "redis.connections", Warning, "of 10 connections")
}

func TestRedisNodes(t *testing.T) {
	f := healthy()
	f.Redis = &cache.Inspection{Kind: "cluster", Nodes: []cache.Node{
		{Addr: "a:6379", Role: "master", MaxMemory: 1 << 30, Policy: "allkeys-lru", Lag: replicaLag},
		{Addr: "b:6379", Fault: "LOADING Redis is loading the dataset in memory"},
		{Addr: "c:6379", Role: "master", MaxMemory: 1 << 30, Policy: "volatile-ttl", SlowAt: noon.Add(-time.Minute), Slow: slowCommandLong},
	}}
	f.RedisWay = []store.Reach{{Host: "a:6379"}, {Host: "d:6379", Step: store.StepTCP, Text: "refused"}}
	wants(t, f, Health, "redis.replication", Warning, "a:6379 was last heard of 10s ago")
	wants(t, f, Health, "redis.node", Warning, "b:6379: LOADING")
	wants(t, f, Health, "redis.host", Warning, "d:6379 fails at the step tcp")
	wants(t, f, Limits, "redis.evictions", Info, "volatile-ttl")
	wants(t, f, Latency, "redis.slow_command", Warning, "took 50ms, 1m ago")
	if found := redisOwn(f); len(found) != 5 {
		t.Errorf("got %+v", found)
	}
	f.Redis.Nodes[0].Lag--
	f.Redis.Nodes[2].SlowAt = noon.Add(-2 * time.Hour)
	if found := redisOwn(f); len(found) != 3 {
		t.Errorf("below the bounds: got %+v", found)
	}
}
