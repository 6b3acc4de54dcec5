package hotpath

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"oauth2-server/store"
)

// Promise P5: a wait that was cut short is 503, whoever cut it; only what is broken is 500.
func TestWaitsThatAreCutShortAreNoFault(t *testing.T) {
	n := newTown(t)
	b := n.signedIn("anna")
	for _, test := range []struct {
		fault  error
		status int
		text   string
	}{
		{&store.Fault{Part: "query", Err: errors.New("conn closed")}, 503, "Try again"},
		{fmt.Errorf("wait: %w", context.DeadlineExceeded), 503, "Try again"},
		{fmt.Errorf("wait: %w", context.Canceled), 503, "Try again"},
		{errors.New("unexpected"), 500, "on our side"},
	} {
		n.store.fault = test.fault
		r := b.get("/profile")
		b.wantPage(r, test.status, test.text)
		if again := r.header.Get("Retry-After") != ""; again != (test.status == 503) {
			t.Errorf("%v: got Retry-After %q", test.fault, r.header.Get("Retry-After"))
		}
	}
}
