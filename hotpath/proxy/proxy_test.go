package proxy

import (
	"net/netip"
	"strings"
	"testing"
)

func mustParse(t testing.TB, list ...string) Trusted {
	t.Helper()
	trusted, err := Parse(list)
	if err != nil {
		t.Fatal(err)
	}
	return trusted
}

func TestClientIsTheRightMostUntrustedHop(t *testing.T) {
	trusted := mustParse(t, "10.0.0.0/8", "192.0.2.7", "2001:db8:1::/48", "::ffff:172.16.0.0/108")
	f := func(peer, want string, lines ...string) {
		t.Helper()
		forwarded := make([][]byte, len(lines))
		for i, line := range lines {
			forwarded[i] = []byte(line)
		}
		if got := trusted.Client(netip.MustParseAddr(peer), forwarded...); got != netip.MustParseAddr(want) {
			t.Errorf("%s %q: got %s, want %s", peer, lines, got, want)
		}
	}
	f("10.0.0.1", "10.0.0.1")
	f("10.0.0.1", "203.0.113.5", "203.0.113.5")
	f("10.0.0.1", "203.0.113.5", "1.1.1.1, 203.0.113.5") // what is left of the client is its own word
	f("10.0.0.1", "203.0.113.5", "1.1.1.1,203.0.113.5,10.1.1.1 ,\t192.0.2.7")
	f("10.0.0.1", "203.0.113.5", "1.1.1.1", "203.0.113.5") // lines are one list, in order
	f("10.0.0.1", "203.0.113.5", "203.0.113.5", "10.0.0.2")
	f("10.0.0.1", "10.3.3.3", "10.3.3.3, 10.2.2.2") // all trusted: the left-most
	f("172.16.3.4", "203.0.113.5", "203.0.113.5")   // a network of IPv4 written as IPv6

	f("203.0.113.9", "203.0.113.9", "1.1.1.1") // a peer that is no proxy: what it says changes nothing
	f("192.0.2.8", "192.0.2.8", "1.1.1.1")
	f("2001:db8:2::1", "2001:db8:2::1", "1.1.1.1")

	f("::ffff:10.0.0.1", "203.0.113.5", "::ffff:203.0.113.5") // 4-in-6 is IPv4
	f("::ffff:203.0.113.9", "203.0.113.9", "1.1.1.1")
	f("2001:db8:1::5", "2001:db8:ffff::1", "2001:db8:ffff::1")
	f("fe80::1%eth0", "fe80::1")

	f("10.0.0.1", "203.0.113.5", "203.0.113.5:4711")
	f("10.0.0.1", "2001:db8::1", "[2001:db8::1]:4711")
	f("10.0.0.1", "2001:db8::1", "[2001:db8::1]")
	f("10.0.0.1", "2001:db8::1:80", "2001:db8::1:80") // no port without brackets
}

// What is no address ends the walk: the last hop that is known pays, never one further left.
func TestMalformedHopEndsTheWalk(t *testing.T) {
	trusted := mustParse(t, "10.0.0.0/8")
	for _, bad := range []string{
		"unknown", "_hidden", "203.0.113.5:", "203.0.113.5:123456", "203.0.113.5:8o", "203.0.113", "203.0.113.5.6", "203.0.113.256",
		"203.0.113.05", "203.0.113.5 6", `"203.0.113.5"`, "for=203.0.113.5", "fe80::1%eth0", "[fe80::1%eth0]:80", "[2001:db8::1", "2001:db8::1]", "[203.0.113.5]",
		"[2001:db8::1]x", "[]", "[", "1::2::3", ":::", ":", "12345::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "::1.2.3", "1.2.3.4::", "-", "\x00", "1.2.3.4\r",
	} {
		got := trusted.Client(netip.MustParseAddr("10.0.0.1"), []byte("203.0.113.5, "+bad+", 10.0.0.2"))
		if want := netip.MustParseAddr("10.0.0.2"); got != want {
			t.Errorf("%q: got %s, want %s", bad, got, want)
		}
	}
	for _, empty := range []string{"203.0.113.5, ", ",203.0.113.5,, ,\t,", "203.0.113.5,,10.0.0.3"} { // RFC 9110 §5.6.1
		if got := trusted.Client(netip.MustParseAddr("10.0.0.1"), []byte(empty)); got != netip.MustParseAddr("203.0.113.5") {
			t.Errorf("%q: got %s", empty, got)
		}
	}
}

func TestHopsAreBounded(t *testing.T) {
	trusted := mustParse(t, "10.0.0.0/8")
	peer, far := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("203.0.113.5")
	for n, want := range map[int]netip.Addr{maxHops - 1: far, maxHops: netip.MustParseAddr("10.0.0.2")} {
		list := far.String() + strings.Repeat(", 10.0.0.2", n)
		if got := trusted.Client(peer, []byte(list)); got != want {
			t.Errorf("%d proxies: got %s, want %s", n, got, want)
		}
	}
	if got := trusted.Client(peer, []byte(far.String()+strings.Repeat(",", 1<<16))); got != peer {
		t.Errorf("a list of nothing: got %s", got)
	}
}

func TestWithoutTrustedPeersNothingChangesTheClient(t *testing.T) {
	for _, peer := range []string{"127.0.0.1", "203.0.113.5", "::1"} {
		address := netip.MustParseAddr(peer)
		if got := Trusted(nil).Client(address, []byte("127.0.0.1, 1.1.1.1"), []byte("::1")); got != address {
			t.Errorf("got %s, want %s", got, address)
		}
	}
}

func TestParse(t *testing.T) {
	for _, bad := range []string{"", "proxy", "10.0.0.0/33", "10.0.0.0/", "10.0.0", "fe80::1%eth0", "fe80::%eth0/64", "::ffff:0:0/90", "10.0.0.1:80"} {
		if trusted, err := Parse([]string{"10.0.0.1", bad}); err == nil || trusted != nil {
			t.Errorf("%q: got %v", bad, trusted)
		}
	}
	trusted := mustParse(t, "10.1.2.3/8", "::1", "::ffff:1.2.3.4")
	for address, want := range map[string]bool{"10.9.9.9": true, "::1": true, "1.2.3.4": true, "1.2.3.5": false, "::2": false} {
		if got := trusted.Trusts(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: got %v", address, got)
		}
	}
}

func TestClientAllocatesNothing(t *testing.T) {
	trusted := mustParse(t, "10.0.0.0/8", "2001:db8::/32")
	peer := netip.MustParseAddr("::ffff:10.0.0.1")
	lines := [][]byte{[]byte("unknown, [2001:db9::1]:80"), []byte("10.0.0.2:80, 2001:db8::3,::ffff:10.0.0.3")}
	if n := testing.AllocsPerRun(100, func() {
		if got := trusted.Client(peer, lines...); got != netip.MustParseAddr("2001:db9::1") {
			t.Fatal(got)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// slowClient is what Client promises, by net/netip and without a thought for speed.
func slowClient(t Trusted, peer netip.Addr, text string) netip.Addr {
	client := peer.Unmap()
	entries := strings.Split(text, ",")
	for i := len(entries) - 1; i >= 0 && len(entries)-i <= maxHops && t.Trusts(client); i-- {
		entry := strings.Trim(entries[i], " \t")
		if entry == "" {
			continue
		}
		address, err := netip.ParseAddr(entry)
		if err != nil {
			address, err = slowPort(entry)
		}
		if err != nil || address.Zone() != "" {
			break
		}
		client = address.Unmap()
	}
	return client
}

func slowPort(entry string) (netip.Addr, error) {
	if inner, ok := strings.CutPrefix(entry, "["); ok && strings.HasSuffix(entry, "]") {
		entry = "[" + strings.TrimSuffix(inner, "]") + "]:1"
	}
	end := strings.LastIndexByte(entry, ':')
	if end < 0 || len(entry)-end < 2 || len(entry)-end > 6 || strings.Trim(entry[end+1:], "0123456789") != "" {
		return netip.Addr{}, errNetwork
	}
	all, err := netip.ParseAddrPort(entry[:end] + ":1") // ports above 65535 are no concern of ours
	return all.Addr(), err
}

func FuzzClient(f *testing.F) {
	for _, seed := range []string{
		"", "1.1.1.1, 203.0.113.5,10.1.1.1 ,\t192.0.2.7", "[2001:db8::1]:80,2001:db8::2,10.0.0.9:1", "::ffff:1.2.3.4,::ffff:10.0.0.1",
		"fe80::1%eth0,10.0.0.1", "1::2::3,10.0.0.1", "::1.2.3.4", "1.2.3.4::,::", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4", "[::],[::1]", "unknown",
	} {
		f.Add(seed)
	}
	trusted := mustParse(f, "10.0.0.0/8", "2001:db8::/32", "::/16")
	peer := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, text string) {
		want := slowClient(trusted, peer, text)
		if got := trusted.Client(peer, []byte(text)); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		if left, right, ok := strings.Cut(text, ","); ok { // a list on two lines is the same list
			if got := trusted.Client(peer, []byte(left), []byte(right)); got != want {
				t.Errorf("%q on two lines: got %s, want %s", text, got, want)
			}
		}
		stranger := netip.MustParseAddr("203.0.113.9")
		if got := trusted.Client(stranger, []byte(text)); got != stranger {
			t.Errorf("%q of a stranger: got %s", text, got)
		}
	})
}
