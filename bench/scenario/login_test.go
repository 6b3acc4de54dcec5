package scenario

import (
	"errors"
	"testing"

	"oauth2-server/bench/load"
	"oauth2-server/bench/target"
)

func TestBlendIsEven(t *testing.T) {
	one, other := rotate([]*load.Shot{{Kind: "one"}}), rotate([]*load.Shot{{Kind: "other"}})
	sources := blend(one, other, 0.25)
	workers := []load.Source{sources(0), sources(1), sources(2)}
	since, others := 0, 0
	for i := range 400 {
		if since++; workers[i%len(workers)]().Kind == "other" {
			if since != 4 {
				t.Fatalf("request %d: the last of its kind was %d before", i, since)
			}
			since, others = 0, others+1
		}
	}
	if others != 100 {
		t.Errorf("got %d of 400, want a quarter", others)
	}
}

// Whoever checks a password says whether it is right; who does not says that it was not checked.
func TestSignInsAreJudged(t *testing.T) {
	s := testStage()
	right, wrong := s.signIn(target.Person{Name: "a", Password: "b"}, 303), s.signIn(target.Person{Name: "a", Password: "c"}, 401)
	if right.Judge(303, nil) != nil || wrong.Judge(401, nil) != nil {
		t.Error("a right verdict is judged wrong")
	}
	if !errors.Is(right.Judge(401, nil), errWrong) || !errors.Is(wrong.Judge(303, nil), errWrong) {
		t.Error("a wrong verdict is judged right")
	}
	for _, status := range []int{429, 503} {
		if err := right.Judge(status, nil); err == nil || errors.Is(err, errWrong) {
			t.Errorf("status %d is judged %v", status, err)
		}
	}
	for _, status := range []int{200, 400, 403, 500} {
		if !errors.Is(wrong.Judge(status, nil), errWrong) {
			t.Errorf("status %d is judged right", status)
		}
	}
}
