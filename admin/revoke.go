package admin

import (
	"fmt"

	"oauth2-server/hotpath/explain"
	"oauth2-server/store"
)

func revokeRoutes() []route {
	return []route{
		on("POST", "/admin/api/revoke", "Revoke the tokens of a client, a subject or a grant, or all; with dry_run=true say how many that would hit", revokeMany),
	}
}

// revokeGrant is the kind of revocation that no cut-off does.
const revokeGrant = "grant"

type revocationBody struct {
	Kind    string `json:"kind" enum:"client,subject,grant,all" required:"true"`
	Name    string `json:"name" doc:"client id; subject: id of a user, id of a client or name of a user; id of the grant; left out with all"`
	Confirm string `json:"confirm" doc:"with all: all, again"`
	DryRun  bool   `query:"dry_run" default:"false" doc:"true: revoke nothing, and say how many tokens that would hit"`
}

// A revocation is what was done, or would be.
type revocation struct {
	DryRun bool          `json:"dry_run"`
	Kind   string        `json:"kind"`
	Name   string        `json:"name,omitempty" doc:"of a user that was named the id"`
	Whom   string        `json:"whom,omitempty" doc:"who the subject is, in words"`
	Cutoff *store.Cutoff `json:"cutoff,omitempty" doc:"what was issued before this number of the feed is revoked"`
	Denial *store.Denial `json:"denial,omitempty" doc:"of a grant"`

	// Of a dry run.
	Tokens   *int64 `json:"tokens,omitempty" doc:"opaque access tokens that it would hit"`
	Estimate *bool  `json:"estimate,omitempty" doc:"false: they were counted"`
	Scanned  *int   `json:"scanned,omitempty" doc:"of the newest rows, looked at to find out"`
	Matched  *int   `json:"matched,omitempty" doc:"of those, the ones that it would hit"`
	Note     string `json:"note,omitempty"`
}

// An estimate is how many tokens a revocation hits.
type estimate struct {
	tokens           int64
	extrapolated     bool
	scanned, matched int
	note             string
}

func (r *revocation) tell(e *estimate) {
	r.Tokens, r.Estimate, r.Scanned, r.Matched, r.Note = &e.tokens, &e.extrapolated, &e.scanned, &e.matched, e.note
}

func revokeMany(s *Server, c *call, in *revocationBody) (revocation, error) {
	grant, err := s.checkRevocation(c, in)
	if err != nil {
		return revocation{}, err
	}
	done := revocation{DryRun: in.DryRun, Kind: in.Kind}
	if in.Kind == string(store.CutSubject) {
		found, err := explain.FindSubject(c, s.DB, in.Name)
		if err != nil {
			return revocation{}, err
		}
		in.Name, done.Whom = found.ID, found.Whom
	}
	done.Name = in.Name
	switch {
	case in.DryRun:
		var e estimate
		e, err = s.estimate(c, in)
		done.tell(&e)
	case in.Kind == revokeGrant:
		done.Denial, err = s.endGrant(c, grant)
	default:
		var cut store.Cutoff
		cut, err = s.DB.CutOff(c, c.Actor, store.CutoffKind(in.Kind), in.Name)
		done.Cutoff = &cut
	}
	return done, err
}

// checkRevocation refuses what looks like a mistake. A mistyped client would be cut off without a word; one that was
// deleted needs no revocation, as deleting it was one.
func (s *Server) checkRevocation(c *call, in *revocationBody) (grant store.ID, err error) {
	wrong := func(field, problem string) error { return &store.FieldError{Field: field, Problem: problem} }
	switch in.Kind {
	case string(store.CutAll):
		if in.Name != "" {
			return grant, wrong("name", "must be left out with all")
		}
		if in.Confirm != in.Kind && !in.DryRun {
			return grant, wrong("confirm", "must be all: every token of every client will be revoked")
		}
		return grant, nil
	case revokeGrant:
		if grant, err = store.ParseID(in.Name); err != nil {
			return grant, wrong("name", "must be the id of a grant, a UUID")
		}
		return grant, nil
	}
	if in.Name == "" {
		return grant, wrong("name", "is missing: whose tokens?")
	}
	if in.Kind == string(store.CutClient) {
		_, err = s.DB.Client(c, in.Name)
	}
	return grant, aboutClient(in.Name, err)
}

const notCounted = "; JWTs are not recorded, so they are not counted, but hit as well"

// estimate looks at the newest rows, and takes the others to be like them.
func (s *Server) estimate(c *call, in *revocationBody) (e estimate, err error) {
	total, err := s.DB.CountTokens(c)
	if err != nil {
		return e, err
	}
	if in.Kind == string(store.CutAll) {
		e.tokens, e.extrapolated = total, true
		e.note = "all rows, those that expired but are not cleared away yet among them" + notCounted
		return e, nil
	}
	deaths, err := explain.ReadDeaths(c, s.DB)
	if err != nil {
		return e, err
	}
	now := s.now().Unix()
	looked, err := s.scan(c, store.ID{}, maxScan, func(r *store.Record) bool {
		if in.about(r) && r.Expires > now && deaths.CutOff(r) == nil {
			e.matched++
		}
		return true
	})
	e.scanned, e.tokens, e.extrapolated = looked.rows, int64(e.matched), !looked.whole
	e.note = "every row was looked at" + notCounted
	if e.extrapolated {
		total = max(total, int64(e.scanned)) // which is an estimate, too
		e.tokens = int64(e.matched) * total / int64(e.scanned)
		e.note = fmt.Sprintf("extrapolated from the newest %d of about %d rows, which the older ones need not be like", e.scanned, total) + notCounted
	}
	return e, err
}

// about reports whether the record is one of those to be revoked.
func (in *revocationBody) about(r *store.Record) bool {
	switch in.Kind {
	case string(store.CutClient):
		return in.Name == string(r.Client)
	case string(store.CutSubject):
		return in.Name == string(r.Subject)
	}
	return in.Name == r.Grant.String()
}
