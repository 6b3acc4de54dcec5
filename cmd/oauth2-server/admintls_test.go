package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes one for 127.0.0.1, and its key, to files, and returns what trusts it.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, bytes []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", private), pool
}

// TestOperatorsComeInByTLS: with a certificate neither a password nor a session crosses the network in clear.
func TestOperatorsComeInByTLS(t *testing.T) {
	certFile, keyFile, pool := certificate(t)
	r := startReplica(t, append([]string{
		"OAUTH2_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "oauth2.db"), "OAUTH2_SERVER_PORT=0", "OAUTH2_ADMIN_HOST=0.0.0.0",
		"OAUTH2_TLS_CERT_FILE=" + certFile, "OAUTH2_TLS_KEY_FILE=" + keyFile,
	}, testEnv...))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(r.admin(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	home := "https://127.0.0.1:" + port
	body := url.Values{"username": {"admin"}, "password": {testSeedPassword}}.Encode()
	var cookies []*http.Cookie
	r.await("sign in", func() bool { // once the operator is there
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, home+"/auth/login", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		cookies = response.Cookies()
		return response.StatusCode == http.StatusSeeOther
	})
	if len(cookies) != 1 || cookies[0].Name != "__Host-oauth2-admin" || !cookies[0].Secure {
		t.Errorf("got cookies %v, want one for https alone", cookies)
	}
	if a := send(http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port+"/health", nil)); a.err == nil && a.status == http.StatusOK {
		t.Errorf("in clear: got %s", a)
	}
	if strings.Contains(r.log.String(), "OAUTH2_ADMIN_HOST lets") {
		t.Errorf("a warning though there is TLS:\n%s", r.log)
	}
}

// TestOperatorsInClearAreWarnedOf: once at start, where passwords may cross a network.
func TestOperatorsInClearAreWarnedOf(t *testing.T) {
	for _, c := range []struct {
		env  []string
		want bool
	}{
		{nil, false},
		{[]string{"OAUTH2_ADMIN_HOST=::1"}, false},
		{[]string{"OAUTH2_ADMIN_HOST=localhost"}, false},
		{[]string{"OAUTH2_ADMIN_HOST=0.0.0.0"}, true},
		{[]string{"OAUTH2_ADMIN_HOST=10.0.0.7"}, true},
		{[]string{"OAUTH2_ADMIN_HOST=ops.example.com"}, true},
		{[]string{"OAUTH2_ADMIN_HOST=0.0.0.0", "OAUTH2_TRUSTED_PROXIES=10.0.0.0/8"}, true}, // not believed
		{[]string{"OAUTH2_ADMIN_HOST=0.0.0.0", "OAUTH2_TRUSTED_PROXIES=10.0.0.0/8", "OAUTH2_SERVER_TRUST_PROXY_HEADERS=true"}, false},
		{[]string{"OAUTH2_ADMIN_HOST=0.0.0.0", "OAUTH2_TLS_CERT_FILE=c", "OAUTH2_TLS_KEY_FILE=k"}, false},
	} {
		config, err := loadConfig(append(c.env, testEnv...))
		if err != nil {
			t.Fatal(err)
		}
		if got := config.adminInClear(); got != c.want {
			t.Errorf("%v: got %t, want %t", c.env, got, c.want)
		}
	}
	r := startReplica(t, append([]string{
		"OAUTH2_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "oauth2.db"), "OAUTH2_SERVER_PORT=0", "OAUTH2_ADMIN_HOST=0.0.0.0",
	}, testEnv...))
	r.awaitReady()
	if got := strings.Count(r.log.String(), "OAUTH2_ADMIN_HOST lets operators in from other machines in clear"); got != 1 {
		t.Errorf("got %d warnings, want one:\n%s", got, r.log)
	}
}
