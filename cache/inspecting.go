package cache

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	inspectPatience = 2 * time.Second
	inspectPings    = 5
	// evictionGap is between two readings of the counter, so that what is evicted now is told from what was long ago.
	evictionGap = 300 * time.Millisecond
)

// Inspect looks at the server behind the client, or at each primary of its cluster, for two seconds at most, without changing
// anything. What cannot be asked is told by its node. It has the client's patience: what is too slow for it is too slow for the replicas.
func Inspect(ctx context.Context, client redis.UniversalClient) Inspection {
	ctx, cancel := context.WithTimeout(ctx, inspectPatience)
	defer cancel()
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		return Inspection{Kind: "server", Nodes: []Node{inspectNode(ctx, client, addrOf(client))}}
	}
	s := Inspection{Kind: "cluster"}
	var mu sync.Mutex
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		node := inspectNode(ctx, master, addrOf(master))
		mu.Lock()
		defer mu.Unlock()
		s.Nodes = append(s.Nodes, node)
		return nil
	})
	if err != nil || len(s.Nodes) == 0 {
		s.Nodes = append(s.Nodes, Node{Addr: "cluster", Fault: faultText(err)})
	}
	slices.SortFunc(s.Nodes, func(a, b Node) int { return strings.Compare(a.Addr, b.Addr) })
	return s
}

func addrOf(client redis.UniversalClient) string {
	one, ok := client.(*redis.Client)
	if !ok || one.Options().Addr == "FailoverClient" { // so go-redis names what asks Sentinels
		return "the primary"
	}
	return one.Options().Addr
}

func faultText(err error) string {
	if err == nil {
		return "it names no primary"
	}
	return err.Error()
}

func inspectNode(ctx context.Context, client redis.Cmdable, addr string) Node {
	n := Node{Addr: addr}
	first, err := infoOf(ctx, client)
	begin := time.Now()
	if err == nil {
		n.read(first)
		n.Ping, err = median(ctx, client)
	}
	if err != nil {
		n.Fault = faultText(err)
		return n
	}
	n.slowest(ctx, client)
	select {
	case <-time.After(evictionGap - time.Since(begin)):
	case <-ctx.Done():
	}
	if again, err := infoOf(ctx, client); err == nil {
		n.EvictedNow = float64(again.int("evicted_keys")-n.Evicted) / time.Since(begin).Seconds()
	}
	return n
}

// median of a few pings: one may be slow by chance. The first made the connection, if there was none.
func median(ctx context.Context, client redis.Cmdable) (time.Duration, error) {
	took := make([]time.Duration, inspectPings)
	for i := range took {
		begin := time.Now()
		if err := client.Ping(ctx).Err(); err != nil {
			return 0, err
		}
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	return took[inspectPings/2], nil
}

// slowest reads when the newest slow command was, and nothing of what it said. Some services do not allow it.
func (n *Node) slowest(ctx context.Context, client redis.Cmdable) {
	log, err := client.SlowLogGet(ctx, 1).Result()
	if err == nil && len(log) > 0 {
		n.SlowAt, n.Slow = log[0].Time, log[0].Duration
	}
}

// info is the answer to INFO, by name.
type info map[string]string

func infoOf(ctx context.Context, client redis.Cmdable) (info, error) {
	text, err := client.Info(ctx).Result()
	if err != nil {
		return nil, err
	}
	return parseInfo(text), nil
}

func parseInfo(text string) info {
	all := info{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			all[name] = value
		}
	}
	return all
}

// int is zero where there is no number.
func (i info) int(name string) int64 {
	n, _ := strconv.ParseInt(i[name], 10, 64)
	return n
}

func (n *Node) read(i info) {
	n.Version = i["redis_version"]
	n.Uptime = time.Duration(i.int("uptime_in_seconds")) * time.Second
	n.Role, n.Loading = i["role"], i["loading"] == "1"
	n.Memory, n.MaxMemory, n.Policy = i.int("used_memory"), i.int("maxmemory"), i["maxmemory_policy"]
	n.Evicted, n.Rejected = i.int("evicted_keys"), i.int("rejected_connections")
	n.Clients, n.MaxClients = int(i.int("connected_clients")), int(i.int("maxclients"))
	n.LinkUp = i["master_link_status"] == "up"
	n.Replicas = int(i.int("connected_slaves"))
	for k := 0; i["slave"+strconv.Itoa(k)] != ""; k++ {
		n.Lag = max(n.Lag, replicaLag(i["slave"+strconv.Itoa(k)]))
	}
}

// replicaLag reads "ip=…,port=…,state=online,offset=…,lag=1": seconds since the replica last said how far it is.
func replicaLag(text string) time.Duration {
	for field := range strings.SplitSeq(text, ",") {
		if value, ok := strings.CutPrefix(field, "lag="); ok {
			seconds, _ := strconv.ParseInt(value, 10, 32)
			return time.Duration(seconds) * time.Second
		}
	}
	return 0
}

// hostPort is an address with Redis' port where it has none.
func hostPort(addr string) string {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return net.JoinHostPort(addr, "6379")
	}
	return addr
}
