package cache

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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

func inspectRedis(t *testing.T, url string) Node {
	t.Helper()
	options, err := redis.ParseURL(url) // more patient than OpenRedis: the machine may be busy
	if err != nil {
		t.Fatal(err)
	}
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	defer client.Close()
	s := Inspect(t.Context(), client)
	if s.Kind != "server" || len(s.Nodes) != 1 {
		t.Fatalf("got %+v", s)
	}
	return s.Nodes[0]
}

// other is a client that may do what it likes.
func other(t *testing.T, server *private.Redis) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { client.Close() })
	return client
}

func TestInspectRedis(t *testing.T) {
	server := startRedis(t, "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru", "--maxclients", "100")
	n := inspectRedis(t, server.URL())
	if n.Fault != "" || n.Version == "" || n.Ping <= 0 || n.Role != "master" || n.Loading || n.Memory == 0 || n.Addr != server.Addr() {
		t.Errorf("got %+v", n)
	}
	if n.MaxMemory != 50<<20 || n.Policy != "allkeys-lru" || n.MaxClients != 100 || n.Clients < 1 || n.Evicted != 0 || n.EvictedNow != 0 || !n.SlowAt.IsZero() {
		t.Errorf("got %+v", n)
	}
}

func TestInspectRedisSeesEvictions(t *testing.T) {
	server := startRedis(t, "--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru")
	client := other(t, server)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		value := strings.Repeat("x", 10_000)
		for i := 0; ctx.Err() == nil; i++ {
			_ = client.Set(ctx, "key"+time.Duration(i).String(), value, time.Hour).Err() // it fails when it is stopped
		}
	}()
	for info, err := infoOf(ctx, client); err != nil || info.int("evicted_keys") == 0; info, err = infoOf(ctx, client) {
		if err != nil {
			t.Fatal(err)
		}
	}
	n := inspectRedis(t, server.URL())
	stop()
	<-ended
	if n.Evicted == 0 || n.EvictedNow <= 0 {
		t.Errorf("got %+v", n)
	}
}

func TestInspectRedisSeesReplicas(t *testing.T) {
	primary := startRedis(t)
	host, port, _ := strings.Cut(primary.Addr(), ":")
	replica := startRedis(t, "--replicaof", host, port)
	for n := inspectRedis(t, replica.URL()); !n.LinkUp; n = inspectRedis(t, replica.URL()) {
		if n.Role != "slave" {
			t.Fatalf("got %+v", n)
		}
	}
	if n := inspectRedis(t, primary.URL()); n.Role != "master" || n.Replicas != 1 {
		t.Errorf("got %+v of the primary", n)
	}
}

func TestInspectRedisSeesSlowCommands(t *testing.T) {
	server := startRedis(t, "--slowlog-log-slower-than", "20000")
	if err := other(t, server).Eval(t.Context(), "local n = redis.call('TIME') repeat local m = redis.call('TIME') until (m[1] - n[1]) * 1e6 + m[2] - n[2] > 30000", nil).Err(); err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	n := inspectRedis(t, server.URL())
	if n.SlowAt.IsZero() || n.Slow < 20*time.Millisecond {
		t.Errorf("got %+v", n)
	}
}

func TestInspectRedisThatIsStopped(t *testing.T) {
	server := startRedis(t)
	server.Stop()
	defer server.Continue()
	if n := inspectRedis(t, server.URL()); n.Fault == "" || n.Version != "" {
		t.Errorf("got %+v", n)
	}
}

func TestInspectReadsReplication(t *testing.T) {
	var n Node
	n.read(parseInfo("# Replication\r\nrole:master\r\nconnected_slaves:2\r\nslave0:ip=10.0.0.1,port=6379,state=online,offset=5,lag=1\r\nslave1:ip=10.0.0.2,port=6379,state=online,offset=2,lag=42\r\n"))
	if n.Lag != 42*time.Second || n.Replicas != 2 || n.Role != "master" {
		t.Errorf("got %+v", n)
	}
}

func FuzzInfo(f *testing.F) {
	f.Add("role:master\r\nconnected_slaves:1\r\nslave0:lag=-1\r\n")
	f.Add("connected_slaves:99999999999\n:\n::\nslave0:lag=9223372036854775807")
	f.Fuzz(func(t *testing.T, text string) {
		var n Node
		n.read(parseInfo(text)) // does not panic, and ends
	})
}

func TestReachRedis(t *testing.T) {
	open, locked := startRedis(t), startRedis(t)
	if err := other(t, locked).ConfigSet(t.Context(), "requirepass", "right").Err(); err != nil {
		t.Fatal(err)
	}
	stopped := startRedis(t)
	stopped.Stop()
	defer stopped.Continue()
	for _, c := range []struct{ name, url, step, text string }{
		{"all is well", open.URL(), "", ""},
		{"right password", "redis://:right@" + locked.Addr(), "", ""},
		{"wrong password", "redis://:hunter2@" + locked.Addr(), store.StepAuthentication, "WRONGPASS"},
		{"no password", locked.URL(), store.StepAuthentication, "NOAUTH"},
		{"password where none is asked for", "redis://:hunter2@" + open.Addr(), "", ""},
		{"unknown host", "redis://no-such-host.invalid:6379", store.StepName, "no-such-host"},
		{"nothing listens", "redis://127.0.0.1:1", store.StepTCP, "refused"},
		{"no TLS", "rediss://" + open.Addr(), store.StepTLS, ""},
		{"stopped", stopped.URL(), store.StepQuery, "no answer"},
		{"stopped, and TLS is wanted", "rediss://" + stopped.Addr(), store.StepQuery, "no answer"},
		{"silent without TLS", "rediss://" + silentAboutTLS(t), store.StepTLS, ""},
	} {
		way := Reach(t.Context(), c.url)
		if len(way) != 1 || way[0].Step != c.step || !strings.Contains(way[0].Text, c.text) || strings.Contains(way[0].Text, "hunter2") {
			t.Errorf("%s: got %+v, want the step %q and a text with %q", c.name, way, c.step, c.text)
		}
	}
	both := "redis+cluster://127.0.0.1:1?addr=" + open.Addr()
	if way := Reach(t.Context(), both); len(way) != 2 || way[0].Step != store.StepTCP || way[1].Step != "" {
		t.Errorf("got %+v of two servers", way)
	}
}

func TestInspectRedisCluster(t *testing.T) {
	server, err := private.StartRedisCluster()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	plain := other(t, server)
	if err := plain.Do(t.Context(), "cluster", "addslotsrange", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	for info := ""; !strings.Contains(info, "cluster_state:ok"); info = plain.ClusterInfo(t.Context()).Val() {
		if t.Context().Err() != nil {
			t.Fatal(info)
		}
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{server.Addr()}, ContextTimeoutEnabled: true})
	defer client.Close()
	if s := Inspect(t.Context(), client); s.Kind != "cluster" || len(s.Nodes) != 1 || s.Nodes[0].Fault != "" || s.Nodes[0].Addr != server.Addr() || s.Nodes[0].Role != "master" {
		t.Errorf("got %+v", s)
	}
	server.Kill()
	if s := Inspect(t.Context(), client); len(s.Nodes) != 1 || s.Nodes[0].Fault == "" {
		t.Errorf("got %+v of a cluster that is gone", s)
	}
}

// silentAboutTLS is a server that takes a handshake for the beginning of a line, whose end it waits for, as Redis does with most.
func silentAboutTLS(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for line := make([]byte, 512); ; {
					n, err := conn.Read(line)
					if err != nil {
						return
					}
					if string(line[:n]) == "PING\r\n" {
						_, _ = conn.Write([]byte("+PONG\r\n"))
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
