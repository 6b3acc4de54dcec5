package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The public listener is asked where the variables say that it is; of all addresses, at this machine's own.
func TestProbeAsksThePublicListener(t *testing.T) {
	f := func(want string, environ ...string) {
		t.Helper()
		config, _ := loadStoreConfig(environ)
		if got := config.local().String(); got != want {
			t.Errorf("%q: got %s, want %s", environ, got, want)
		}
	}
	f("http://127.0.0.1:8080")
	f("http://127.0.0.1:80", "OAUTH2_SERVER_HOST=0.0.0.0", "OAUTH2_SERVER_PORT=80")
	f("http://[::1]:8080", "OAUTH2_SERVER_HOST=::")
	f("http://10.0.0.7:8080", "OAUTH2_SERVER_HOST=10.0.0.7")
	f("https://127.0.0.1:8080", "OAUTH2_TLS_CERT_FILE=cert.pem", "OAUTH2_TLS_KEY_FILE=key.pem")
}

// Exit status 0 for a good answer, a redirect included, and 1 for any other and for none; by TLS too, whoever the certificate is of.
func TestProbeExitStatus(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		status := map[string]int{"/health": http.StatusOK, "/moved": http.StatusFound, "/ready": http.StatusServiceUnavailable}
		w.Header().Set("Location", "/nowhere")
		w.WriteHeader(status[r.URL.Path])
	}
	plain, secure := httptest.NewServer(http.HandlerFunc(answer)), httptest.NewTLSServer(http.HandlerFunc(answer))
	defer plain.Close()
	defer secure.Close()
	f := func(want int, server *httptest.Server, args ...string) {
		t.Helper()
		environ := []string{"OAUTH2_SERVER_PORT=" + server.URL[strings.LastIndex(server.URL, ":")+1:]}
		if server == secure {
			environ = append(environ, "OAUTH2_TLS_CERT_FILE=cert.pem", "OAUTH2_TLS_KEY_FILE=key.pem")
		}
		root := newRootCommand(environ)
		root.SetArgs(append([]string{"probe"}, args...))
		root.SetErr(t.Output())
		if got := execute(t.Context(), root); got != want {
			t.Errorf("%s %q: got exit status %d, want %d", server.URL, args, got, want)
		}
	}
	f(0, plain)
	f(0, plain, "/moved")
	f(1, plain, "/ready")
	f(0, plain, plain.URL+"/health")
	f(1, plain, secure.URL+"/health") // another's certificate counts
	f(0, secure)
	plain.Close()
	f(1, plain)
}
