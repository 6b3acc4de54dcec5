package keys

import (
	"testing"

	"oauth2-server/store"
)

func BenchmarkMAC(b *testing.B) {
	s := secrets(b, newText)
	r := ring(b, s, HS256, generate(b, s, HS256))
	message := make([]byte, 22)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var sum [MACBytes]byte
		for pb.Next() {
			r.MAC(1).Sum(&sum, message)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s := secrets(b, newText)
	r := ring(b, s, HS256, generate(b, s, HS256))
	plain, id := make([]byte, 200), store.NewID(now)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 0, 512)
		for pb.Next() {
			r.Seal(buf, 1, id, 1, plain)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	s := secrets(b, newText)
	r := ring(b, s, HS256, generate(b, s, HS256))
	id := store.NewID(now)
	sealed := r.Seal(nil, 1, id, 1, make([]byte, 200))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 0, 512)
		for pb.Next() {
			if _, err := r.Open(buf, 1, id, 1, sealed); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkSign(b *testing.B) {
	eachAlg(b, func(b *testing.B, s *Signer, message []byte) {
		b.RunParallel(func(pb *testing.PB) {
			buf := make([]byte, 0, 512)
			for pb.Next() {
				if _, err := s.Sign(buf, message); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkVerify(b *testing.B) {
	eachAlg(b, func(b *testing.B, s *Signer, message []byte) {
		signature, err := s.Sign(nil, message)
		if err != nil {
			b.Fatal(err)
		}
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if !s.Verify(message, signature) {
					b.Error("refused")
				}
			}
		})
	})
}

func eachAlg(b *testing.B, act func(*testing.B, *Signer, []byte)) {
	s := secrets(b, newText)
	for _, alg := range Algs() {
		r := ring(b, s, alg, generate(b, s, alg))
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			act(b, r.Signer(), make([]byte, 420))
		})
	}
}
