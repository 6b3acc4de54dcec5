package scenario

import (
	"errors"
	"net/url"
	"testing"

	"oauth2-server/bench/load"
	"oauth2-server/bench/target"
)

// testStage speaks to nobody.
func testStage() *stage {
	urls := []*url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}
	return newStage(&Scenario{}, &Env{Target: &target.Target{URLs: urls, Paths: target.DefaultPaths}})
}

func TestVerdictsAreReadFromAnyJSON(t *testing.T) {
	f := func(body string, wantActive, wantOK bool) {
		t.Helper()
		if active, ok := verdict([]byte(body)); active != wantActive || ok != wantOK {
			t.Errorf("%s: got %v %v, want %v %v", body, active, ok, wantActive, wantOK)
		}
	}
	f(`{"active":true,"scope":"read"}`, true, true)
	f(`{"active":false}`, false, true)
	f("{\n  \"scope\": \"x\",\n  \"active\" : true\n}", true, true)
	f(`{"scope":"\"active\":true","active":false}`, false, true)
	f(`{"error":"invalid_client"}`, false, false)
	f(`{"active":"true"}`, false, false)
	f(``, false, false)
}

// A fault is said honestly, or it is a wrong answer (promise: a fault is never the client's).
func TestOnlyHonestRefusalsAreNoWrongAnswers(t *testing.T) {
	s := testStage()
	for kind, shot := range map[string]*load.Shot{
		kindIssue: s.issue(0, s.Opaque), kindIntrospect: s.introspect(0, "t", true), kindBatch: s.questions([]string{"a", "b"}, 2)[0],
		"issue into a ledger": s.issueInto(new(ledger), 0),
	} {
		for _, status := range []int{429, 502, 503, 504} {
			if err := shot.Judge(status, nil); err == nil || errors.Is(err, errWrong) {
				t.Errorf("%s: status %d is judged %v", kind, status, err)
			}
		}
		for _, status := range []int{201, 400, 401, 403, 500} {
			if err := shot.Judge(status, []byte(`{"active":true,"access_token":"x"}`)); !errors.Is(err, errWrong) {
				t.Errorf("%s: status %d is judged %v", kind, status, err)
			}
		}
	}
}

func TestVerdictsAreJudged(t *testing.T) {
	s := testStage()
	live, dead := s.introspect(0, "t", true), s.introspect(0, "t", false)
	active, inactive := []byte(`{"active":true}`), []byte(`{"active":false}`)
	if live.Judge(200, active) != nil || dead.Judge(200, inactive) != nil {
		t.Error("a right verdict is judged wrong")
	}
	if live.Judge(200, inactive) == nil || dead.Judge(200, active) == nil || live.Judge(200, nil) == nil {
		t.Error("a wrong verdict is judged right")
	}
	batch := s.questions([]string{"a", "b", "c"}, 3)[0]
	if err := batch.Judge(200, []byte("{\"active\":true}\n{\"active\":true}\n{\"active\":true}\n")); err != nil {
		t.Errorf("three live tokens: %v", err)
	}
	for _, body := range []string{"{\"active\":true}\n{\"active\":false}\n{\"active\":true}\n", "{\"active\":true}\n{\"active\":true}\n", ""} {
		if batch.Judge(200, []byte(body)) == nil {
			t.Errorf("three live tokens are judged right by %q", body)
		}
	}
}

func TestTroubleRemembersTheLastBadAnswer(t *testing.T) {
	var failed trouble
	shot := &load.Shot{Judge: load.Status}
	watched := failed.watch(rotate([]*load.Shot{shot}))(0)()
	if err := watched.Judge(200, nil); err != nil || failed.at.Load() != 0 {
		t.Errorf("a good answer: %v", err)
	}
	if err := watched.Judge(503, nil); err == nil || failed.last().IsZero() || failed.at.Load() == 0 {
		t.Errorf("a bad answer: %v", err)
	}
}

func TestRecoveredIsJudgedByTheEnd(t *testing.T) {
	f := func(want float64, ticks ...load.Tick) {
		t.Helper()
		if got := settled(&load.Outcome{Ticks: ticks}); got != want {
			t.Errorf("%v: got %v, want %v", ticks, got, want)
		}
	}
	good, half, bad := load.Tick{Requests: 10}, load.Tick{Requests: 10, Errors: 5}, load.Tick{Requests: 10, Errors: 10}
	f(1, bad, bad, good)
	f(1, bad, good, half)
	f(0.5, good, half, half)
	f(0, good, bad, bad)
	f(0, good, load.Tick{}, load.Tick{})
	f(0)
}
