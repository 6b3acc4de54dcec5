package scenario

import (
	"fmt"
	"sync"
	"testing"
)

func TestLedgerSetsTokensApartToBeRevoked(t *testing.T) {
	l := new(ledger)
	if _, ok := l.fresh(seeded(0)); ok {
		t.Error("an empty ledger has a token")
	}
	if _, ok := l.takeMortal(); ok {
		t.Error("an empty ledger has a token to revoke")
	}
	for i := range 100 {
		l.issued(acknowledged{text: fmt.Sprint(i)})
	}
	taken := map[string]bool{}
	for {
		token, ok := l.takeMortal()
		if !ok {
			break
		}
		if taken[token.text] {
			t.Errorf("token %s is to be revoked twice", token.text)
		}
		taken[token.text] = true
	}
	if len(taken) != 100/mortality || len(l.alive) != 100-100/mortality {
		t.Errorf("%d tokens are to be revoked, %d live", len(taken), len(l.alive))
	}
	for range 1000 {
		if token, ok := l.fresh(seeded(1)); !ok || taken[token.text] {
			t.Fatalf("a token that may be revoked is asked about: %v %v", token, ok)
		}
	}
}

// What was asked for and never acknowledged is neither alive nor dead.
func TestUnacknowledgedRevocationIsForgotten(t *testing.T) {
	s, l := testStage(), new(ledger)
	for i := range 2 * mortality {
		l.issued(acknowledged{text: fmt.Sprint(i)})
	}
	good, bad := s.revokeFrom(l, 0), s.revokeFrom(l, 0)
	if err := good.Judge(200, nil); err != nil {
		t.Error(err)
	}
	if err := bad.Judge(503, nil); err == nil {
		t.Error("a refused revocation is judged good")
	}
	if len(l.dead) != 1 || len(l.alive) != 2*mortality-2 || len(l.mortal) != 0 {
		t.Errorf("got %d dead, %d alive, %d to be revoked", len(l.dead), len(l.alive), len(l.mortal))
	}
	if s.revokeFrom(l, 0) != nil {
		t.Error("there is a revocation without a token")
	}
}

func TestIssuedTokensAreKeptByAnswer(t *testing.T) {
	s, l := testStage(), new(ledger)
	shot := s.issueInto(l, 0)
	var workers sync.WaitGroup
	for i := range 8 {
		workers.Go(func() {
			if err := shot.Judge(200, fmt.Appendf(nil, `{"access_token":"t%d","token_type":"Bearer"}`, i)); err != nil {
				t.Error(err)
			}
		})
	}
	workers.Wait()
	if shot.Judge(200, []byte(`{}`)) == nil {
		t.Error("an answer without a token is judged good")
	}
	if got := len(l.alive) + len(l.mortal); got != 8 {
		t.Errorf("got %d tokens, want 8", got)
	}
}
