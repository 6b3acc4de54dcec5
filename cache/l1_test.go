package cache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

func key(i int) []byte {
	var k [16]byte
	binary.BigEndian.PutUint64(k[:], uint64(i))
	return k[:]
}

func value(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8), byte(i >> 16)}, 30+i%10) }

func TestL1GivesBackWhatWasPut(t *testing.T) {
	c := newL1(64 << 20)
	for i := range 100_000 {
		c.put(key(i), value(i))
	}
	for i := range 100_000 {
		got, ok := c.get(nil, key(i))
		if !ok || !bytes.Equal(got, value(i)) {
			t.Fatalf("key %d: got %x, %v", i, got, ok)
		}
	}
	if _, ok := c.get(nil, key(100_000)); ok {
		t.Fatal("a key that was never put is there")
	}
}

func TestL1KeysOfDifferentLengthAreDifferent(t *testing.T) {
	c := newL1(1 << 20)
	long := append(key(1), make([]byte, 16)...)
	c.put(key(1), []byte("short"))
	c.put(long, []byte("long"))
	if got, _ := c.get(nil, key(1)); string(got) != "short" {
		t.Fatalf("got %q", got)
	}
	if got, _ := c.get(nil, long); string(got) != "long" {
		t.Fatalf("got %q", got)
	}
}

func TestL1StaysWithinItsBytesAndKeepsTheNewest(t *testing.T) {
	const bound = 16 << 20
	c := newL1(bound)
	const n = 500_000 // about 50 MB
	for i := range n {
		c.put(key(i), value(i))
	}
	entries, size := c.size()
	if size > bound {
		t.Fatalf("takes %d bytes, bound is %d", size, bound)
	}
	if entries < 50_000 {
		t.Fatalf("holds %d entries only", entries)
	}
	for i := n - 10_000; i < n; i++ {
		if got, ok := c.get(nil, key(i)); !ok || !bytes.Equal(got, value(i)) {
			t.Fatalf("recent key %d: got %x, %v", i, got, ok)
		}
	}
	for i := range n { // whatever is still there is right
		if got, ok := c.get(nil, key(i)); ok && !bytes.Equal(got, value(i)) {
			t.Fatalf("key %d has another key's value", i)
		}
	}
}

func TestL1OfNoBytesKeepsNothing(t *testing.T) {
	c := newL1(0)
	c.put(key(1), value(1))
	if _, ok := c.get(nil, key(1)); ok {
		t.Fatal("kept a value")
	}
}

func TestL1RefusesWhatFitsNoChunk(t *testing.T) {
	c := newL1(1 << 20)
	c.put(key(1), make([]byte, chunkBytes))
	c.put(make([]byte, maxKey+1), value(1))
	if entries, _ := c.size(); entries != 0 {
		t.Fatalf("holds %d entries, want none", entries)
	}
}

func TestL1UnderConcurrency(t *testing.T) {
	c := newL1(8 << 20)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(rand.Uint64(), 1))
			var buf []byte
			for range 50_000 {
				i := random.IntN(200_000)
				var ok bool
				if buf, ok = c.get(buf[:0], key(i)); ok && !bytes.Equal(buf, value(i)) {
					t.Errorf("key %d has another key's value", i)
					return
				}
				c.put(key(i), value(i))
			}
		})
	}
	all.Wait()
}

// TestMillionTokensInL1 holds the promise on memory: 1 million tokens take at most 350 MB of heap.
func TestMillionTokensInL1(t *testing.T) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := newL1(512 << 20)
	record := make([]byte, 150)
	for i := range 1_000_000 {
		c.put(key(i), record)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := after.HeapAlloc - before.HeapAlloc; used > 350<<20 {
		t.Fatalf("1 million tokens take %d MiB", used>>20)
	}
	if _, ok := c.get(nil, key(0)); !ok {
		t.Fatal("the first token was pushed out")
	}
	runtime.KeepAlive(c)
}

func BenchmarkL1Get(b *testing.B) {
	c := newL1(256 << 20)
	for i := range 100_000 {
		c.put(key(i), value(i))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 0, 256)
		i := rand.IntN(100_000)
		for pb.Next() {
			var ok bool
			if buf, ok = c.get(buf[:0], key(i%100_000)); !ok {
				panic(fmt.Sprintf("key %d is gone", i))
			}
			i++
		}
	})
}

func BenchmarkL1Put(b *testing.B) {
	c := newL1(64 << 20)
	record := make([]byte, 120)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.put(key(i), record)
	}
}
