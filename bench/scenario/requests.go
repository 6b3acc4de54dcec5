package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/target"
)

// errWrong is an answer that must never be given: the wrong verdict on a token, or a fault that is blamed on the client. The
// name is what it is counted under.
var errWrong = errors.New("wrong answer")

// refused judges an answer that is not 200: saying "not now" is honest, everything else to a right request is wrong.
func refused(status int) error {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return load.Status(status, nil)
	}
	return errWrong
}

// The kinds of requests, by which results are kept.
const (
	kindIssue      = "issue"
	kindIntrospect = "introspect"
	kindFresh      = "introspect-fresh" // of a token that another replica has just issued
	kindBatch      = "introspect-batch"
	kindRevoke     = "revoke"
	kindRefresh    = "refresh"
	kindSignIn     = "sign-in"
)

// introspect asks a replica about a token of the opaque client.
func (s *stage) introspect(replica int, token string, active bool) *load.Shot {
	shot := s.Target.Introspect(replica, s.Opaque, token)
	shot.Kind = kindIntrospect
	shot.Judge = mustBeInactive
	if active {
		shot.Judge = mustBeActive
	}
	return shot
}

func mustBeActive(status int, body []byte) error   { return judgeVerdict(status, body, true) }
func mustBeInactive(status int, body []byte) error { return judgeVerdict(status, body, false) }

func judgeVerdict(status int, body []byte, want bool) error {
	if status != http.StatusOK {
		return refused(status)
	}
	if active, ok := verdict(body); !ok || active != want {
		return errWrong
	}
	return nil
}

var activeMember = []byte(`"active"`)

// verdict reads the member "active" of an answer (RFC 7662 §2.2). It is no JSON parser: at tens of thousands of answers a
// second that would be most of the generator's work.
func verdict(body []byte) (active, ok bool) {
	_, value, found := bytes.Cut(body, activeMember)
	if !found {
		return false, false
	}
	value = bytes.TrimLeft(value, " \t\r\n:")
	return bytes.HasPrefix(value, []byte("true")), bytes.HasPrefix(value, []byte("true")) || bytes.HasPrefix(value, []byte("false"))
}

// question asks a replica about one token or several at once, of which those that get the wrong verdict are added to wrong.
func (s *stage) question(replica int, tokens []string, active bool, wrong *atomic.Int64) *load.Shot {
	shot := s.introspect(replica, tokens[0], active)
	if len(tokens) > 1 {
		shot = s.Target.BatchIntrospect(replica, s.Opaque, tokens)
		shot.Kind = kindBatch
	}
	shot.Judge = func(status int, body []byte) error {
		if status != http.StatusOK {
			return refused(status)
		}
		right := 0
		for line := range bytes.Lines(body) {
			if is, ok := verdict(line); ok && is == active {
				right++
			}
		}
		if right != len(tokens) {
			wrong.Add(int64(len(tokens) - right))
			return errWrong
		}
		return nil
	}
	return shot
}

// questions asks about live tokens, so many a request, at the replicas in turn.
func (s *stage) questions(tokens []string, each int) []*load.Shot {
	var shots []*load.Shot
	var wrong atomic.Int64 // the judge's own count suffices
	for some := range slices.Chunk(tokens, each) {
		shots = append(shots, s.question(s.replica(len(shots)), some, true, &wrong))
	}
	return shots
}

// issue asks a replica for a token.
func (s *stage) issue(replica int, c target.Client) *load.Shot {
	shot := s.Target.Issue(replica, c, nil)
	shot.Kind = kindIssue
	shot.Judge = func(status int, body []byte) error {
		if status != http.StatusOK {
			return refused(status)
		}
		if !bytes.Contains(body, []byte(`"access_token"`)) {
			return errWrong
		}
		return nil
	}
	return shot
}

// issueInto asks a replica for a token of the opaque client, and keeps what is acknowledged.
func (s *stage) issueInto(l *ledger, replica int) *load.Shot {
	shot := s.issue(replica, s.Opaque)
	shot.Judge = func(status int, body []byte) error {
		if status != http.StatusOK {
			return refused(status)
		}
		var answer struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
			return errWrong
		}
		l.issued(acknowledged{answer.Token, replica})
		return nil
	}
	return shot
}

// revokeFrom revokes a token of the ledger, and keeps that it was acknowledged. Nil: there is none to revoke.
func (s *stage) revokeFrom(l *ledger, replica int) *load.Shot {
	token, ok := l.takeMortal()
	if !ok {
		return nil
	}
	shot := s.Target.Revoke(replica, s.Opaque, token.text)
	shot.Kind = kindRevoke
	shot.Judge = func(status int, _ []byte) error {
		if status != http.StatusOK {
			return refused(status)
		}
		l.revoked(token)
		return nil
	}
	return shot
}

// replica is the one that a worker speaks to.
func (s *stage) replica(worker int) int { return worker % len(s.Target.URLs) }

// rotate sends prepared requests in turn, each worker beginning at another.
func rotate(shots []*load.Shot) func(worker int) load.Source {
	return func(worker int) load.Source {
		i := worker * 7919 // a prime: workers are apart
		return func() *load.Shot {
			i++
			return shots[i%len(shots)]
		}
	}
}

// ask sends every request once, as a preparation or a check: it is not measured. An error means that some had no verdict at all.
func (s *stage) ask(ctx context.Context, shots []*load.Shot) error {
	if len(shots) == 0 {
		return ctx.Err()
	}
	var next atomic.Int64
	source := func() *load.Shot {
		if i := int(next.Add(1)) - 1; i < len(shots) {
			return shots[i]
		}
		return nil
	}
	outcome, err := load.Run(ctx, load.Plan{
		Sources:     func(int) load.Source { return source },
		Connections: s.Connections, Duration: askPatience,
	})
	if err != nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	delete(outcome.Total.Errors, errWrong.Error())
	if missing := int64(len(shots)) - outcome.Total.Requests + outcome.Total.Failed(); missing > 0 {
		return fmt.Errorf("%d of %d requests had no verdict: %v", missing, len(shots), outcome.Total.Errors)
	}
	return nil
}

// askPatience bounds the time for a list of requests.
const askPatience = 10 * time.Minute
