package hotpath

import "testing"

func BenchmarkWayLook(b *testing.B) {
	for name, lines := range map[string][]string{
		"as told":       {"Host: auth.example.com", "User-Agent: x", "Accept: */*", "Authorization: Basic xyz", "Content-Type: application/x-www-form-urlencoded"},
		"all is amiss":  {"Host: elsewhere.example.com", "User-Agent: x", "Accept: */*", "X-Forwarded-For: 192.0.2.1"},
		"a bare number": {"Host: 192.0.2.1:8080", "User-Agent: x"},
	} {
		b.Run(name, func(b *testing.B) {
			w := newTestWay(b, issuer)
			ctx := arrival("10.0.0.1", lines...)
			b.ReportAllocs()
			for b.Loop() {
				w.look(ctx, routeToken)
			}
		})
	}
}
