package fetch

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// RFC 6890, RFC 6598, RFC 5737, RFC 3849, RFC 3056: no address by which this server would be asked to reach its own neighbours.
func TestAddressesThatAreNotDialled(t *testing.T) {
	for _, text := range []string{
		"0.0.0.0", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8",
		"192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%lo",
		"fec0::1", "ff02::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "2606:4700::1%eth0", "4000::1",
	} {
		if isPublic(netip.MustParseAddr(text)) {
			t.Errorf("%s is dialled", text)
		}
	}
	for _, text := range []string{"8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "193.0.0.1", "2606:4700::1", "2a00::1", "2400:cb00::1"} {
		if !isPublic(netip.MustParseAddr(text)) {
			t.Errorf("%s is not dialled", text)
		}
	}
}

// The address is judged when it is dialled, whatever name led to it.
func TestOwnMachineIsNotAsked(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	client := New(Options{})
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f000001", "127.1"} {
		if _, err := client.Get(t.Context(), "https://"+host+":"+port+"/"); err == nil {
			t.Errorf("%s was asked", host)
		}
	}
	if _, err := client.Get(t.Context(), "https://127.0.0.1:"+port+"/"); !errors.Is(err, ErrAddress) {
		t.Errorf("got %v, want %v", err, ErrAddress)
	}
	if _, err := client.Post(t.Context(), "https://127.0.0.1:"+port+"/", "a=b"); !errors.Is(err, ErrAddress) {
		t.Errorf("got %v, want %v", err, ErrAddress)
	}
	if asked.Load() != 0 {
		t.Error("the server was asked")
	}
}

func TestOnlyHTTPSIsAsked(t *testing.T) {
	client := New(Options{})
	for _, target := range []string{"http://example.com/", "ftp://example.com/", "file:///etc/passwd", "https:///x", "//example.com", "https:example.com", "", "https://exa mple.com/"} {
		if _, err := client.Get(t.Context(), target); !errors.Is(err, ErrScheme) {
			t.Errorf("%q: got %v, want %v", target, err, ErrScheme)
		}
	}
}

// other is a server on this machine, and a client that may ask it.
func other(t *testing.T, answer http.HandlerFunc) (*Client, string) {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return New(Options{Loopback: true}), server.URL
}

// A redirect would lead past whoever looked at the address, and a form elsewhere.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Bool
	client, url := other(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/next" {
			followed.Store(true)
			return
		}
		http.Redirect(w, r, "/next", http.StatusFound)
	})
	if _, err := client.Get(t.Context(), url+"/first"); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("got %v", err)
	}
	if status, err := client.Post(t.Context(), url+"/first", "a=b"); status != http.StatusFound || err != nil {
		t.Errorf("got %d, %v", status, err)
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

func TestAnswersAreBounded(t *testing.T) {
	client, url := other(t, func(w http.ResponseWriter, r *http.Request) {
		n := MaxBytes
		if r.URL.Path == "/long" {
			n++
		}
		_, _ = w.Write(make([]byte, n)) // it may be refused half-way
	})
	if body, err := client.Get(t.Context(), url+"/"); err != nil || len(body) != MaxBytes {
		t.Errorf("got %d bytes, %v", len(body), err)
	}
	if _, err := client.Get(t.Context(), url+"/long"); !errors.Is(err, ErrLong) {
		t.Errorf("got %v, want %v", err, ErrLong)
	}
}

// Behind a proxy of the environment the address that is judged would be the proxy's.
func TestNoProxyIsUsed(t *testing.T) {
	if proxy := New(Options{}).http.Transport.(*http.Transport).Proxy; proxy != nil {
		t.Error("there is a proxy")
	}
}

func TestPostSendsAForm(t *testing.T) {
	client, url := other(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.FormValue("logout_token") != "a b" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("got %s %v", r.Method, r.Form)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if status, err := client.Post(t.Context(), url, "logout_token=a+b"); status != http.StatusNoContent || err != nil {
		t.Errorf("got %d, %v", status, err)
	}
}

// Errors are logged: they name the host, not what stands behind it.
func TestErrorsTellNoURL(t *testing.T) {
	client, url := other(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for _, target := range []string{url + "/?secret=x", "http://127.0.0.1:1/?secret=x"} {
		if _, err := client.Get(t.Context(), target); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
	}
}

// As many as its user asks for are under way to one server at once: none waits for another.
func TestPerHost(t *testing.T) {
	const many = 12
	var inside sync.WaitGroup
	inside.Add(many)
	_, url := other(t, func(http.ResponseWriter, *http.Request) {
		inside.Done()
		inside.Wait() // until all are here
	})
	client := New(Options{Loopback: true, PerHost: many})
	var group sync.WaitGroup
	for range many {
		group.Go(func() {
			if status, err := client.Post(t.Context(), url, "a=b"); err != nil || status != http.StatusOK {
				t.Errorf("got %d, %v", status, err)
			}
		})
	}
	group.Wait()
}
