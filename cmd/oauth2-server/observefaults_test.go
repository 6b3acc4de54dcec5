package main

import (
	"slices"
	"testing"
)

// TestAlertsSeeFaults breaks what the server depends on and sees the conditions of the alerts come true. How long they must
// last is for the tests in deploy/prometheus.
func TestAlertsSeeFaults(t *testing.T) {
	t.Parallel() // it waits most of its time
	c := newOwnCluster(t, 2)
	as := c.newClient("app")
	token := c.replicas[0].mustIssue(as)
	var targets []string
	for _, r := range c.replicas {
		r.isActive(as, token) // and holds it from now on
		targets = append(targets, r.admin())
	}
	p := newPrometheus(t, targets...)
	traffic := func() {
		for _, r := range c.replicas {
			r.issue(as)
			r.introspect(as, token)
		}
	}
	if empty := p.until(traffic, `sum(up{job="oauth2-server"}) == 2`, "sum(rate(oauth2_server_tokens_issued_total[1m])) > 0"); len(empty) > 0 {
		t.Fatalf("no data: %v", empty)
	}
	t.Run("Redis hangs", func(t *testing.T) {
		defer c.redis.Continue()
		p.wantSeen(t, c.redis.Stop, traffic, "OAuth2ServerRedisDown", "OAuth2ServerLimitsAlone")
	})
	t.Run("Postgres is gone", func(t *testing.T) {
		p.wantSeen(t, c.postgres.Kill, traffic, "OAuth2ServerFenceOld", "OAuth2ServerStaleAnswers", "OAuth2ServerNotReady", "OAuth2ServerNoneReady",
			"OAuth2ServerIssuingFails", "OAuth2ServerErrorsHigh", "OAuth2ServerDatabaseFails")
	})
}

// wantSeen goes on with the traffic after the fault until the condition of each alert is true, which it is not before.
func (p *prometheus) wantSeen(t *testing.T, fault, traffic func(), alerts ...string) {
	t.Helper()
	all := p.rules()
	conditions := map[string]string{}
	var expressions []string
	for _, alert := range alerts {
		i := slices.IndexFunc(all, func(r rule) bool { return r.Name == alert })
		if i < 0 {
			t.Fatalf("there is no alert %s", alert)
		}
		conditions[all[i].Query] = alert
		expressions = append(expressions, all[i].Query)
		if before := p.evaluate(all[i].Query); len(before) > 0 {
			t.Errorf("%s sees a fault before there is one: %v", alert, before)
		}
	}
	fault()
	for _, empty := range p.until(traffic, expressions...) {
		t.Errorf("%s does not see it: %s", conditions[empty], empty)
	}
}
