package postgres

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// wantStep checks where the way to the only host of a URL ends.
func wantStep(t *testing.T, what, address, step, text string) {
	t.Helper()
	way := Reach(t.Context(), address)
	if len(way) != 1 || way[0].Step != step || !strings.Contains(way[0].Text, text) {
		t.Errorf("%s: got %+v, want the step %q and a text with %q", what, way, step, text)
		return
	}
	if strings.Contains(fmt.Sprint(way), "hunter2") {
		t.Errorf("%s: the password shows: %+v", what, way)
	}
}

// variant is a URL with parts exchanged.
func variant(t *testing.T, address string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("postgres", "hunter2")
	change(u)
	return u.String()
}

func TestReachSaysAtWhichStepTheWayEnds(t *testing.T) {
	address := private.TestDatabase(t)
	wantStep(t, "empty database", address, store.StepSchema, "flyway_schema_history")
	openURL(t, address)
	wantStep(t, "all is well", address, "", "")

	wantStep(t, "unknown host", variant(t, address, func(u *url.URL) { u.Host = "no-such-host.invalid:5432" }), store.StepName, "no-such-host.invalid")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	wantStep(t, "nothing listens", variant(t, address, func(u *url.URL) { u.Host = free.Addr().String() }), store.StepTCP, "refused")
	wantStep(t, "no TLS", variant(t, address, func(u *url.URL) { u.RawQuery = "sslmode=require" }), store.StepTLS, "refused TLS")
	wantStep(t, "no such user", variant(t, address, func(u *url.URL) { u.User = url.UserPassword("nobody", "hunter2") }), store.StepAuthentication, "nobody")
	wantStep(t, "no such database", variant(t, address, func(u *url.URL) { u.Path = "/nowhere" }), store.StepDatabase, "nowhere")
	if way := Reach(t.Context(), "postgres://%zz"); way != nil {
		t.Errorf("got %v of a URL that cannot be read", way)
	}
}

func TestReachOfAStoppedServerEnds(t *testing.T) {
	server, db := ownServer(t)
	server.Stop()
	defer server.Continue()
	for _, mode := range []string{"disable", "prefer", "require"} { // the kernel takes the connection; no TLS is to blame
		address := variant(t, db.options.URL, func(u *url.URL) { u.RawQuery = "sslmode=" + mode })
		wantStep(t, "stopped, sslmode="+mode, address, store.StepQuery, "no answer")
		_, err := connectURL(t, address).Inspect(within(t, 5*time.Second))
		wantFault(t, "inspect, sslmode="+mode, err, store.StepQuery)
	}
}

// A firewall that drops is told from a server that hangs, and of several addresses the one that came furthest counts.
func TestFailedStepOfSilence(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	f := func(what, query string, lookup []string, step string) {
		t.Helper()
		config, err := connConfig(Options{URL: "postgres://anna@db/app?" + query})
		if err != nil {
			t.Fatal(err)
		}
		config.LookupFunc = func(context.Context, string) ([]string, error) { return lookup, nil }
		dial := config.DialFunc
		config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == "192.0.2.1:5432" {
				<-ctx.Done()
				return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
			}
			return dial(ctx, network, silent.Addr().String())
		}
		_, err = pgx.ConnectConfig(within(t, 300*time.Millisecond), config)
		if got := failedStep(err); got != step {
			t.Errorf("%s: got the step %s of %v, want %s", what, got, err, step)
		}
	}
	f("dropped", "sslmode=require", []string{"192.0.2.1"}, store.StepTCP)
	f("hangs", "sslmode=require", []string{"192.0.2.2"}, store.StepQuery)
	f("hangs, then no time is left", "sslmode=disable", []string{"192.0.2.2", "192.0.2.1"}, store.StepQuery)
}

func TestReachTriesEveryHost(t *testing.T) {
	address := private.TestDatabase(t)
	openURL(t, address)
	both := variant(t, address, func(u *url.URL) { u.Host = "no-such-host.invalid:5432," + u.Host })
	way := Reach(t.Context(), both)
	if len(way) != 2 || way[0].Step != store.StepName || way[1].Step != "" {
		t.Errorf("got %+v", way)
	}
}

func TestReachOfAFullServer(t *testing.T) {
	_, address := private.TestOwnPostgres(t, "max_connections=5", "superuser_reserved_connections=0", "max_wal_senders=0")
	for range 5 {
		rawConn(t, address, "filler")
	}
	wantStep(t, "full", address, store.StepConnections, "53300")
}

func TestReachOfATrustedAndAnUntrustedCertificate(t *testing.T) {
	certificate, key := selfSigned(t)
	_, address := private.TestOwnPostgres(t, "ssl=on", "ssl_cert_file="+certificate, "ssl_key_file="+key)
	openURL(t, address)
	secure := func(query string) string { return variant(t, address, func(u *url.URL) { u.RawQuery = query }) }
	wantStep(t, "trusted", secure("sslmode=verify-full&sslrootcert="+certificate), "", "")
	wantStep(t, "untrusted", secure("sslmode=verify-full"), store.StepTLS, "certificate")
}

// selfSigned is a certificate for 127.0.0.1 and its key, in files that Postgres accepts.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "database"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	body, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "certificate") //nolint:usetesting // Postgres may be another user, who cannot pass t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, body []byte, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body}), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate, key = write("cert.pem", "CERTIFICATE", body, 0o644), write("key.pem", "PRIVATE KEY", sealed, 0o640)
	if as, err := postgresUID(); err == nil {
		_ = os.Chown(key, as, -1) // who is not root need not
		_ = os.Chmod(key, 0o600)
	}
	return certificate, key
}

// postgresUID is whom a private Postgres runs as when we are root.
func postgresUID() (int, error) {
	who, err := user.Lookup("postgres")
	if err != nil {
		who, err = user.Lookup("nobody")
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(who.Uid)
}
