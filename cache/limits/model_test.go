package limits

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// clockKey holds the time, in microseconds, of a script under test. The script that is shipped has no way to be told
// the time: nobody who calls it can be wrong about it. So a test changes the one line that asks for it.
const clockKey = "test:clock"

func scriptWithClock(t testing.TB) *redis.Script {
	t.Helper()
	const asks = "redis.call('TIME')"
	if strings.Count(takeScript, asks) != 1 {
		t.Fatalf("the script asks for the time otherwise than once by %s", asks)
	}
	return redis.NewScript(strings.Replace(takeScript, asks, "{0, tonumber(redis.call('GET', '"+clockKey+"'))}", 1))
}

func newRedis(t testing.TB, address string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { client.Close() })
	return client
}

// The script and the Go that plays it are one bucket: any steps under any limits, also when the limit changes on the way
// and the clock is set back.
func TestScriptIsTheBucket(t *testing.T) {
	client := newRedis(t, private.TestRedis(t).Addr())
	script := scriptWithClock(t)
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 4))
		key := fmt.Sprintf("bucket %d", seed)
		var model bucket
		now := int64(1_700_000_000_000_000)
		q := randomQuota(random)
		for step := range 100 {
			switch random.IntN(10) {
			case 0:
				q = randomQuota(random)
			case 1:
				now -= random.Int64N(1000)
			default:
				now += random.Int64N(1 + int64(2*q.period/q.rate*float64(1+random.IntN(5))))
			}
			least := random.Int64N(5)
			want, give := least+random.Int64N(10), max(random.Int64N(10)-6, 0)
			if err := client.Set(t.Context(), clockKey, now, 0).Err(); err != nil {
				t.Fatal(err)
			}
			a := ask{}
			a.read(script.Run(t.Context(), client, []string{key}, q.rate, q.period, q.burst, want, least, give))
			after, granted := q.take(model, now, want, least, give)
			if level := q.level(after, now); a.err != nil || a.granted != granted || a.level != level {
				t.Fatalf("seed %d step %d: Redis granted %d, level %v (%v), want %d, %v", seed, step, a.granted, a.level, a.err, granted, level)
			}
			model = after
		}
	}
}

func randomQuota(random *rand.Rand) quota {
	periods := []time.Duration{time.Second, 7 * time.Second, time.Minute, time.Hour, 24 * time.Hour}
	return newQuota(store.Quota{
		Rate: 1 + random.Int64N(1<<random.IntN(20)), Burst: 1 + random.Int64N(1<<random.IntN(20)),
		Period: store.Period(periods[random.IntN(len(periods))]),
	})
}

// A bucket that is empty is as good as none: Redis may forget it, and its memory is bounded by what is in use.
func TestBucketsInRedisEndWhenTheyAreEmpty(t *testing.T) {
	client := newRedis(t, private.TestRedis(t).Addr())
	script := redis.NewScript(takeScript)
	take := func(q quota, want, give int) time.Duration {
		t.Helper()
		if err := script.Run(t.Context(), client, []string{"k"}, q.rate, q.period, q.burst, want, want, give).Err(); err != nil {
			t.Fatal(err)
		}
		return client.PTTL(t.Context(), "k").Val()
	}
	second := quota{rate: 10, burst: 100, period: 1e6}
	if ttl := take(second, 50, 0); ttl < 5*time.Second || ttl > 6*time.Second {
		t.Errorf("50 permits at 10 a second live %v, want the 5s they take to leak and one more", ttl)
	}
	hour := quota{rate: 10, burst: 40, period: 3600e6}
	if ttl := take(hour, 5, 0); ttl < 3*time.Hour {
		t.Errorf("after a cut the bucket lives %v: who is blocked would be free before it is empty", ttl)
	}
	take(second, 0, 100)
	if n := client.Exists(t.Context(), "k").Val(); n != 0 {
		t.Error("a bucket that was emptied by handing back is still there")
	}
}

func TestGarbageUnderAKeyIsAnEmptyBucket(t *testing.T) {
	client := newRedis(t, private.TestRedis(t).Addr())
	for _, garbage := range []string{"x", "", "1", "a b", "1 b", "1 2 3", "nil nil"} {
		client.Set(t.Context(), "k", garbage, 0)
		a := ask{}
		a.read(redis.NewScript(takeScript).Run(t.Context(), client, []string{"k"}, 1, 1e6, 10, 1, 1, 0))
		if a.err != nil || a.granted != 1 {
			t.Errorf("%q: granted %d, %v", garbage, a.granted, a.err)
		}
	}
}
