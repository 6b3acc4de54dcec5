package explain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oauth2-server/store"
)

// A Fate is what ended a token before it expired; empty when nothing did.
type Fate struct {
	Denied *Ending `json:"denied,omitempty"`
	CutOff *Ending `json:"cut_off,omitempty"`
}

// Alive reports whether nothing ended the token.
func (f Fate) Alive() bool { return f.Denied == nil && f.CutOff == nil }

// An Ending is who ended what, and when.
type Ending struct {
	What   string         `json:"what"` // "token", "grant", or what [Target] says
	At     time.Time      `json:"at"`
	By     string         `json:"by"`
	Change store.Position `json:"change,omitempty"` // the feed number of a cut-off
}

// Deaths finds the fates of records. It knows the cut-offs of the moment when it was made.
type Deaths struct {
	db      DeathStore
	cutoffs []store.Cutoff
}

// A DeathStore is what Deaths asks.
type DeathStore interface {
	Denied(ctx context.Context, kind store.DenyKind, id store.ID) (store.Denial, error)
	Cutoffs(ctx context.Context) ([]store.Cutoff, error)
}

// ReadDeaths reads the cut-offs.
func ReadDeaths(ctx context.Context, db DeathStore) (*Deaths, error) {
	cutoffs, err := db.Cutoffs(ctx)
	if err != nil {
		return nil, fmt.Errorf("read cut-offs: %w", err)
	}
	return &Deaths{db, cutoffs}, nil
}

// Of is the fate of the record: a denial of the token, or else of its grant, and the last cut-off that hit it.
func (d *Deaths) Of(ctx context.Context, r *store.Record) (f Fate, err error) {
	f.CutOff = d.CutOff(r)
	f.Denied, err = d.denied(ctx, store.DenyToken, r.ID)
	if f.Denied == nil && err == nil && !r.Grant.IsZero() {
		f.Denied, err = d.denied(ctx, store.DenyGrant, r.Grant)
	}
	return f, err
}

func (d *Deaths) denied(ctx context.Context, kind store.DenyKind, id store.ID) (*Ending, error) {
	denial, err := d.db.Denied(ctx, kind, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the denial of %s %s: %w", kind, id, err)
	}
	return &Ending{What: kind.String(), At: time.Unix(denial.At, 0).UTC(), By: denial.Actor}, nil
}

// CutOff is the last cut-off that hit the record, nil when none did. It asks nobody.
func (d *Deaths) CutOff(r *store.Record) (last *Ending) {
	for _, cut := range d.cutoffs {
		if r.Position < cut.Number && hits(&cut, r) && (last == nil || last.Change < cut.Number) {
			last = &Ending{Target(&cut), time.Unix(cut.At, 0).UTC(), cut.Actor, cut.Number}
		}
	}
	return last
}

// hits reports whether a cut-off is about the record, whatever its number.
func hits(cut *store.Cutoff, r *store.Record) bool {
	switch cut.Kind {
	case store.CutAll:
		return true
	case store.CutClient:
		return cut.Name == string(r.Client)
	case store.CutSubject:
		return cut.Name == string(r.Subject)
	}
	return false
}

// Target is what a cut-off hits: "tokens", "tokens of client …" or "tokens of subject …".
func Target(cut *store.Cutoff) string {
	if cut.Kind == store.CutAll {
		return "tokens"
	}
	return fmt.Sprintf("tokens of %s %q", cut.Kind, cut.Name)
}
