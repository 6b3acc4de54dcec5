package manifests

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
)

// A replica that sheds connections is not killed for it: what starts and kills it is asked where operators are, and answers while the public
// listener refuses. Whether it gets requests is asked where they come.
func TestProbesUnderOverload(t *testing.T) {
	public, admin := startServer(t, build(t), "OAUTH2_SERVER_MAX_CONNECTIONS=1")
	overload(t, public)
	for _, r := range renderings(t) {
		for _, p := range pods(r) {
			for _, c := range p.Spec.Containers {
				if !isServer(c) || c.Args[0] != "serve" {
					continue
				}
				for _, probe := range []*core.Probe{c.StartupProbe, c.LivenessProbe} {
					if answer := status(t, probeURL(probe, public, admin)); answer != http.StatusOK {
						t.Errorf("%s: %s: %v answers %d while connections are shed", r.name, p.of, probe.HTTPGet, answer)
					}
				}
				if ready := c.ReadinessProbe.HTTPGet; ready.Port.StrVal != "public" || ready.Path != "/ready?for=traffic" {
					t.Errorf("%s: %s: readiness asks %v", r.name, p.of, ready)
				}
			}
		}
	}
}

// overload holds connections until the server sheds those that come after.
func overload(t *testing.T, public string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); status(t, public+"/health") != http.StatusServiceUnavailable; {
		if time.Now().After(deadline) {
			t.Fatal("the public listener takes every connection: this test overloads nothing")
		}
		held, err := net.Dial("tcp", strings.TrimPrefix(public, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { held.Close() })
	}
}

// probeURL is what a probe by HTTP asks.
func probeURL(probe *core.Probe, public, admin string) string {
	if probe.HTTPGet.Port.StrVal == "admin" {
		return admin + probe.HTTPGet.Path
	}
	return public + probe.HTTPGet.Path
}

// status is what a connection of its own is answered.
func status(t *testing.T, url string) int {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}
