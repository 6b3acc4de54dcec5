package main

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A broker that this build has not keeps no server from starting: it says so in the log and to who asks.
func TestAnUnknownEventBackendDegradesAndNoMore(t *testing.T) {
	f := func(status int, warned bool, env ...string) {
		t.Helper()
		r := startReplica(t, slices.Concat(testEnv, env, []string{"OAUTH2_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "oauth2.db"), "OAUTH2_SERVER_PORT=0"}))
		r.awaitReady()
		a := r.get("/events/health")
		if a.status != status || a.field("degraded") != (status != http.StatusOK) {
			t.Errorf("%s: got %s, want %d", env, a, status)
		}
		if strings.Contains(r.log.String(), "names a backend that this build has not") != warned {
			t.Errorf("%s: the log is %s", env, r.log)
		}
	}
	f(http.StatusOK, false)
	f(http.StatusOK, false, "OAUTH2_EVENTS_BACKEND=none")
	f(http.StatusServiceUnavailable, true, "OAUTH2_EVENTS_BACKEND=kafka", "OAUTH2_EVENTS_KAFKA_BROKERS=127.0.0.1:9092")
}

// Everybody can read the name of the backend: a URL with a password is refused.
func TestTheEventBackendIsAName(t *testing.T) {
	_, err := loadConfig([]string{"OAUTH2_EVENTS_BACKEND=redis://user:hunter22@host"})
	if err == nil || !strings.Contains(err.Error(), "OAUTH2_EVENTS_BACKEND must be the name") || strings.Contains(err.Error(), "hunter22") {
		t.Errorf("got %v", err)
	}
}
