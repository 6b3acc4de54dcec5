package admin

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"oauth2-server/admin/doctor"
	"oauth2-server/store"
)

// diagnosed is an operator in front of a cluster in which no operator can sign in any more, and who counts the looks at it.
func diagnosed(t *testing.T) (o *operator, looks *atomic.Int32) {
	looks = new(atomic.Int32)
	o = newOperator(t, func(options *Options) {
		options.Gather = func(context.Context) *doctor.Facts {
			looks.Add(1)
			return &doctor.Facts{Admins: new(0), Replicas: []store.Replica{{Vitals: store.Vitals{Ready: true, Host: "pod-1"}}}}
		}
	})
	return o, looks
}

func TestDoctorAnswersFindings(t *testing.T) {
	o, _ := diagnosed(t)
	report := get[doctor.Report](o, "/doctor?scenario=login")
	if len(report.Findings) != 1 || report.Findings[0].ID != "login.no_admin" || report.Findings[0].Severity != doctor.Critical {
		t.Errorf("got %+v, want that there is no operator", report)
	}
	if both := get[doctor.Report](o, "/doctor?scenario=memory&scenario=login&scenario=login"); !slices.Equal(both.Findings, report.Findings) {
		t.Errorf("got %+v of two scenarios, want each finding of them once", both)
	}
	if body := o.ask(200, "GET", "/doctor?scenario=memory", "").body; body != `{"findings":[]}`+"\n" && body != `{"findings":[]}` {
		t.Errorf("got %q, want an empty list", body)
	}
}

func TestDoctorLooksOnceForMany(t *testing.T) {
	o, looks := diagnosed(t)
	if counts := o.race(20, "GET", "/doctor", ""); counts[200] != 20 {
		t.Errorf("got %v, want 200 for all", counts)
	}
	if n := looks.Load(); n != 1 {
		t.Errorf("looked %d times, want once", n)
	}
}

// Every scenario may be asked for, and no other.
func TestDoctorScenarios(t *testing.T) {
	o, _ := diagnosed(t)
	for _, scenario := range append(slices.Clone(doctor.Scenarios), doctor.All) {
		o.ask(200, "GET", "/doctor?scenario="+scenario, "")
	}
	for _, query := range []string{"scenario=nonsense", "scenario=login&scenario=nonsense", "scenario=login&scenario=all"} {
		if fields := o.wrong("GET", "/doctor?"+query, ""); !slices.Equal(fields, []string{"scenario"}) {
			t.Errorf("%s: got %v, want scenario", query, fields)
		}
	}
}

func TestDoctorIsForOperators(t *testing.T) {
	o, looks := diagnosed(t)
	o.do("GET", "/admin/api/doctor", "").want(t, 401)
	if looks.Load() != 0 {
		t.Error("somebody looked for a stranger")
	}
}
