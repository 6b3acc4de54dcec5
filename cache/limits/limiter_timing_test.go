package limits

import (
	"testing"
	"time"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

func BenchmarkSpend(b *testing.B) {
	client := newRedis(b, private.TestRedis(b).Addr())
	for _, bench := range []struct {
		name    string
		options []func(*Options)
		rule    store.Limit
	}{
		{"leased", []func(*Options){withRedis(client)}, limit(10_000_000, 10_000_000, time.Second)},
		{"exact", []func(*Options){withRedis(client)}, limit(100, 10_000_000, time.Second)},
		{"refused", []func(*Options){withRedis(client)}, limit(1, 1, time.Hour, func(l *store.Limit) { l.Name = "refused" })},
		{"alone", nil, limit(10_000_000, 10_000_000, time.Second)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			l := newLimiter(b, bench.options...)
			l.Apply([]store.Limit{bench.rule})
			who := app("a")
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if v := l.Spend(Introspect, ByName, who, 1); v.Rule == nil {
						b.Error("no rule was looked at")
					}
				}
			})
		})
	}
}
