package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"oauth2-server/bench/load"
	"oauth2-server/bench/target"
)

// A family is the tokens of a grant. Each refresh token is good once, and answered with its successor.
type family struct {
	newest  string // refresh token
	spent   string // the one before it; "": there was none
	access  string // that came with the newest
	replica int    // that answered last
	unsure  bool   // newest was presented, and no good answer came: it may be spent
	heir    string // what newest was answered with when all was verified; "": it was refused
}

// A ring is the families of one worker, which refreshes them in turn: one at a time, so that no token is presented twice.
type ring struct {
	families []*family
	next     int
}

// newRings signs the stack's person in and makes grants, so many for each worker.
func (s *stage) newRings(ctx context.Context, each int) ([]*ring, error) {
	s.Log("making %d grants", each*s.Connections)
	grants, err := s.Target.NewGrants(ctx, s.Stack.App, s.Stack.Person, each*s.Connections)
	if err != nil {
		return nil, err
	}
	rings := make([]*ring, s.Connections)
	for i := range rings {
		rings[i] = &ring{}
		for _, g := range grants[i*each : (i+1)*each] {
			rings[i].families = append(rings[i].families, &family{newest: g.Refresh, access: g.Access, replica: s.replica(i)})
		}
	}
	return rings, nil
}

// refresh presents the newest token of the family whose turn it is. After an answer that is not good it is its turn again, as
// a client asks again: the server still knows what it may have answered.
func (s *stage) refresh(r *ring, replica int) *load.Shot {
	f := r.families[r.next]
	f.unsure = true
	shot := s.Target.Refresh(replica, s.Stack.App.Client, f.newest)
	shot.Kind = kindRefresh
	shot.Judge = func(status int, body []byte) error {
		if status != http.StatusOK {
			return refused(status)
		}
		answer, ok := readGrant(body)
		if !ok || answer.Refresh == f.newest {
			return errWrong
		}
		*f = family{newest: answer.Refresh, spent: f.newest, access: answer.Access, replica: replica}
		r.next = (r.next + 1) % len(r.families)
		return nil
	}
	return shot
}

// readGrant reads the tokens of an answer, which must hold both.
func readGrant(body []byte) (target.Grant, bool) {
	var answer struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	err := json.Unmarshal(body, &answer)
	return target.Grant(answer), err == nil && answer.Access != "" && answer.Refresh != ""
}

// verifyFamilies asks for what must hold of every family whose last answer was good, with Redis emptied and at replicas that
// did not give it. lost_tokens counts newest access tokens that are not active; lost_families newest refresh tokens that are
// not good; forked_families spent ones that are: at most the last spent one may be answered with its one successor again.
func (s *stage) verifyFamilies(ctx context.Context, rings []*ring) error {
	if len(rings) == 0 {
		return nil
	}
	families := known(rings)
	s.Log("verifying %d families", len(families))
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.verifyAccess(ctx, families); err != nil {
		return err
	}
	for _, claim := range []claim{
		{"lost_families", func(f *family) string { return f.newest }, func(f *family, heir string) bool {
			f.heir = heir
			return heir != "" && heir != f.newest
		}},
		{"forked_families", func(f *family) string { return f.newest }, func(f *family, heir string) bool { return heir == "" || heir == f.heir }},
		{"forked_families", func(f *family) string { return f.spent }, func(_ *family, heir string) bool { return heir == "" }},
	} {
		wrong, err := s.present(ctx, families, claim)
		if err != nil {
			return fmt.Errorf("verify families: %w", err)
		}
		s.run.Facts[claim.fact] += float64(wrong)
	}
	s.fact("verified_families", float64(len(families)))
	return nil
}

// known is the families of which the newest token is known.
func known(rings []*ring) (all []*family) {
	for _, r := range rings {
		for _, f := range r.families {
			if !f.unsure {
				all = append(all, f)
			}
		}
	}
	return all
}

// verifyAccess adds to the tokens that are lost.
func (s *stage) verifyAccess(ctx context.Context, families []*family) error {
	tokens := make([]acknowledged, len(families))
	for i, f := range families {
		tokens[i] = acknowledged{f.access, f.replica}
	}
	lost, err := s.as(s.Gateway).contradictions(ctx, tokens, true)
	if err != nil {
		return fmt.Errorf("verify access tokens of families: %w", err)
	}
	s.run.Facts["lost_tokens"] += float64(lost)
	return nil
}

// A claim is what must come of presenting a token of each family.
type claim struct {
	fact  string                            // counts what else came
	token func(f *family) string            // "": the family has none
	holds func(f *family, heir string) bool // heir "": refused
}

// present presents a token of each family, and is how many claims do not hold.
func (s *stage) present(ctx context.Context, families []*family, c claim) (int64, error) {
	var wrong atomic.Int64
	var shots []*load.Shot
	for _, f := range families {
		if c.token(f) == "" {
			continue
		}
		shot := s.Target.Refresh(s.replica(f.replica+1), s.Stack.App.Client, c.token(f))
		shot.Judge = func(status int, body []byte) error {
			heir, err := heirOf(status, body)
			if err == nil && !c.holds(f, heir) {
				err = errWrong
			}
			if errors.Is(err, errWrong) {
				wrong.Add(1)
			}
			return err
		}
		shots = append(shots, shot)
	}
	err := s.ask(ctx, shots)
	return wrong.Load(), err
}

// heirOf is the refresh token that another was answered with, or "" where that one was refused for good (RFC 6749 §5.2).
func heirOf(status int, body []byte) (string, error) {
	switch {
	case status == http.StatusBadRequest && bytes.Contains(body, []byte(`"invalid_grant"`)):
		return "", nil
	case status != http.StatusOK:
		return "", refused(status)
	}
	answer, ok := readGrant(body)
	if !ok {
		return "", errWrong
	}
	return answer.Refresh, nil
}
