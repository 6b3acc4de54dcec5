package limits

import (
	"net/netip"
	"strings"
	"testing"

	"oauth2-server/store"
)

// keyOf is the key of who under a rule of the kind.
func keyOf(kind string, who *Who) ([]byte, bool) {
	return (&rule{limit: store.Limit{Key: kind}}).appendKey(nil, who)
}

func TestAddressesOfOneSiteAreOneKey(t *testing.T) {
	f := func(address, want string) {
		t.Helper()
		who := Who{}
		if address != "" {
			who.Address = netip.MustParseAddr(address)
		}
		got, known := keyOf(store.LimitByIP, &who)
		if string(got) != want || !known {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
	f("192.0.2.1", "192.0.2.1")
	f("::ffff:192.0.2.1", "192.0.2.1")
	f("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64")
	f("2001:db8:1:2::", "2001:db8:1:2::/64")
	f("fe80::1%eth0", "fe80::/64")
	f("", "unknown")
}

func TestKeysAreKnownWithWhatTheyAreMadeOf(t *testing.T) {
	f := func(kind string, who Who, want string) {
		t.Helper()
		if got, known := keyOf(kind, &who); known != (want != "") || known && string(got) != want {
			t.Errorf("%s of %+v: got %s, %v, want %s", kind, who, got, known, want)
		}
	}
	four := netip.MustParseAddr("192.0.2.1")
	f(store.LimitByClient, Who{Client: []byte("app")}, "app")
	f(store.LimitByClient, Who{Address: four}, "")
	f(store.LimitByClientIP, Who{Client: []byte("app"), Address: four}, "app@192.0.2.1")
	f(store.LimitByClientIP, Who{Address: four}, "")
	f(store.LimitByUsername, Who{Username: []byte("ann")}, "ann")
	f(store.LimitByUsername, Who{Client: []byte("app")}, "")
	f(store.LimitByNobody, Who{}, "all")
}

func TestLongNamesAreHashed(t *testing.T) {
	a, _ := keyOf(store.LimitByClientIP, &Who{Client: []byte(strings.Repeat("x", 1<<16))})
	b, _ := keyOf(store.LimitByClientIP, &Who{Client: []byte(strings.Repeat("x", 1<<16) + "y")})
	if len(a) > keyRoom || string(a) == string(b) || !strings.HasPrefix(string(a), "sha256:") {
		t.Errorf("got %s and %s", a, b)
	}
}

func TestCanonicalKeySuccess(t *testing.T) {
	f := func(kind, text, want string) {
		t.Helper()
		if got, err := CanonicalKey(kind, text); got != want || err != nil {
			t.Errorf("%s %q: got %q, %v, want %q", kind, text, got, err, want)
		}
	}
	f(store.LimitByIP, "192.0.2.1", "192.0.2.1")
	f(store.LimitByIP, "::ffff:192.0.2.1", "192.0.2.1")
	f(store.LimitByIP, "2001:DB8:1:2:3::1", "2001:db8:1:2::/64")
	f(store.LimitByIP, "2001:db8:1:2::/64", "2001:db8:1:2::/64")
	f(store.LimitByIP, "unknown", "unknown")
	f(store.LimitByClient, "app", "app")
	f(store.LimitByClientIP, "app@2001:db8:1:2:3::1", "app@2001:db8:1:2::/64")
	f(store.LimitByClientIP, "me@home@192.0.2.1", "me@home@192.0.2.1")
	f(store.LimitByUsername, " Ann ", "ann")
}

func TestCanonicalKeyFailure(t *testing.T) {
	f := func(kind, text string) {
		t.Helper()
		if got, err := CanonicalKey(kind, text); err == nil {
			t.Errorf("%s %q is taken for %q", kind, text, got)
		}
	}
	f(store.LimitByIP, "")
	f(store.LimitByIP, "example.com")
	f(store.LimitByIP, "192.0.2.0/24")
	f(store.LimitByIP, "2001:db8::/48")
	f(store.LimitByClientIP, "app")
	f(store.LimitByClientIP, "@192.0.2.1")
	f(store.LimitByClientIP, "app@home")
	f(store.LimitByUsername, " ")
	f(store.LimitByNobody, "all")
}

// Whatever an operator may name is a key that a request can have, spelt as it is counted.
func FuzzCanonicalKey(f *testing.F) {
	for _, seed := range []string{"192.0.2.1", "::ffff:1.2.3.4", "2001:db8::1", "2001:db8::/64", "fe80::1%x", "unknown", "a/64"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := CanonicalKey(store.LimitByIP, text)
		if err != nil {
			return
		}
		if again, err := CanonicalKey(store.LimitByIP, key); err != nil || again != key {
			t.Errorf("%q is %q, which is %q, %v", text, key, again, err)
		}
		if key == unknownAddress {
			return
		}
		address, err := netip.ParseAddr(strings.TrimSuffix(key, "/64"))
		if counted, _ := keyOf(store.LimitByIP, &Who{Address: address}); err != nil || string(counted) != key {
			t.Errorf("%q is %q, but is counted as %q", text, key, counted)
		}
	})
}
