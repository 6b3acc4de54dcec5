package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// byFile moves variables from an environment into files of a folder, and returns the environment that names them.
func byFile(t *testing.T, dir string, env []string, names ...string) []string {
	t.Helper()
	var moved []string
	for _, line := range env {
		name, value, _ := strings.Cut(line, "=")
		for _, one := range names {
			if name == one {
				line = name + "_FILE=" + filepath.Join(dir, name)
				rewrite(t, filepath.Join(dir, name), value)
			}
		}
		moved = append(moved, line)
	}
	return moved
}

func rewrite(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// awaitMetric waits for a line of /metrics.
func (r *replica) awaitMetric(line string) {
	r.t.Helper()
	r.await("show "+line, func() bool { return strings.Contains(r.get("/metrics").body, line+"\n") })
}

const (
	reloadOK     = "oauth2_server_config_reload_ok 1"
	reloadFailed = "oauth2_server_config_reload_ok 0"
	reloaded     = `oauth2_server_config_reloads_total{outcome="applied"} `
)

func embeddedServer(t *testing.T, env ...string) *replica {
	t.Helper()
	return startReplica(t, append([]string{"OAUTH2_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "oauth2.db"), "OAUTH2_SERVER_PORT=0"}, env...))
}

// secureClient keeps its connections, and trusts these certificates.
type secureClient struct {
	t    *testing.T
	http *http.Client
	base string
}

func newSecureClient(t *testing.T, base string, pools ...*x509.CertPool) *secureClient {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		for _, pool := range pools {
			if _, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool}); err == nil {
				return nil
			}
		}
		return errors.New("the certificate is another")
	}}}
	t.Cleanup(transport.CloseIdleConnections)
	return &secureClient{t, &http.Client{Transport: transport, Timeout: 20 * time.Second}, strings.Replace(base, "http://", "https://", 1)}
}

func (c *secureClient) get(path string) (body string, err error) {
	response, err := c.http.Get(c.base + path)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

func (c *secureClient) good() bool { _, err := c.get("/health"); return err == nil }

// A certificate is changed as Kubernetes changes it, on both listeners; connections that there are go on. Half of a key, or
// the key of another certificate, keeps the old one, and a metric says so until it is mended.
func TestCertificateIsChangedUnderConnections(t *testing.T) {
	t.Parallel() // it waits most of its time
	dir := t.TempDir()
	var pools []*x509.CertPool
	for _, version := range []string{"..1", "..2"} {
		certFile, keyFile, pool := certificate(t)
		pools = append(pools, pool)
		folder := filepath.Join(dir, version)
		if err := errors.Join(os.Mkdir(folder, 0o700), os.Rename(certFile, filepath.Join(folder, "tls.crt")), os.Rename(keyFile, filepath.Join(folder, "tls.key"))); err != nil {
			t.Fatal(err)
		}
	}
	swap := func(version string) {
		t.Helper()
		next := filepath.Join(dir, "next")
		if err := errors.Join(os.Symlink(version, next), os.Rename(next, filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	swap("..1")
	r := embeddedServer(t, append(testEnv, "OAUTH2_TLS_CERT_FILE="+filepath.Join(dir, "..data/tls.crt"), "OAUTH2_TLS_KEY_FILE="+filepath.Join(dir, "..data/tls.key"))...)
	kept, operators := newSecureClient(t, r.url, pools[0]), newSecureClient(t, r.admin(), pools[0])
	if !kept.good() || !operators.good() {
		t.Fatal("no TLS by the first certificate")
	}
	either := newSecureClient(t, r.url, pools...)
	await := func(line string) {
		t.Helper()
		r.await("show "+line, func() bool {
			text, err := either.get("/metrics")
			return err == nil && strings.Contains(text, line+"\n")
		})
	}
	await(reloadOK)

	key := filepath.Join(dir, "..1", "tls.key")
	whole, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(filepath.Join(dir, "..2", "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{whole[:len(whole)/2], other} {
		rewrite(t, key, string(bad))
		await(reloadFailed)
		if !newSecureClient(t, r.url, pools[0]).good() {
			t.Error("the old certificate is not kept")
		}
		rewrite(t, key, string(whole))
		await(reloadOK)
	}

	swap("..2")
	await(reloaded + "1")
	for _, base := range []string{r.url, r.admin()} {
		if !newSecureClient(t, base, pools[1]).good() || newSecureClient(t, base, pools[0]).good() {
			t.Errorf("%s: new connections do not see the new certificate", base)
		}
	}
	if !kept.good() || !operators.good() { // they trust the first certificate alone
		t.Error("a connection of before has ended")
	}
}

func TestSIGHUPDoesNoHarm(t *testing.T) {
	r := embeddedServer(t)
	hangUp := func() {
		t.Helper()
		if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangUp() // while it starts
	hangUp()
	r.awaitReady()
	r.await("read its files again", func() bool { return strings.Contains(r.log.String(), "nothing has changed") })
	r.awaitMetric(reloadOK)
	if a := r.get("/metrics"); !strings.Contains(a.body, reloaded+"0\n") {
		t.Errorf("got %s", a)
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	go func() {
		for r.cmd.Process.Signal(syscall.SIGHUP) == nil { // until the process has ended
		}
	}()
	if err := r.end(); err != nil {
		t.Errorf("got %v, want an end in good order:\n%s", err, r.log)
	}
}

func TestLogLevelIsChanged(t *testing.T) {
	dir := t.TempDir()
	env := byFile(t, dir, []string{"OAUTH2_LOG_LEVEL=info"}, "OAUTH2_LOG_LEVEL")
	r := embeddedServer(t, env...)
	r.awaitReady()
	rewrite(t, filepath.Join(dir, "OAUTH2_LOG_LEVEL"), "warn")
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.awaitMetric(reloaded + "1")
	rewrite(t, filepath.Join(dir, "OAUTH2_LOG_LEVEL"), "debug")
	r.awaitMetric(reloaded + "2")
	r.await("log", func() bool { return strings.Contains(r.log.String(), `"applied":["OAUTH2_LOG_LEVEL"]`) })
	if got := strings.Count(r.log.String(), "the configuration was read again"); got != 1 {
		t.Errorf("got %d lines, want none at warn and one at debug:\n%s", got, r.log)
	}
}
