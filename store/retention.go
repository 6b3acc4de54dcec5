package store

import (
	"fmt"
	"time"
)

// Kinds of what is kept for a time and then removed. A kind is a table, or a part of one.
const (
	KeptTokens   = "tokens"        // by partition, since the last of its tokens expired
	KeptDenials  = "denials"       // since they expired
	KeptCutoffs  = "cutoffs"       // since they were made
	KeptChanges  = "changes"       // of the feed, since they were made
	KeptCodes    = "codes"         // since they expired
	KeptPushed   = "pushed"        // since they expired
	KeptJTIs     = "jtis"          // since they expired
	KeptGrants   = "grants"        // since they ended
	KeptConsents = "consents"      // of clients that are gone, since they were given
	KeptLogouts  = "logouts"       // since they were last due
	KeptMinutes  = "limit_minutes" // since they were counted
	KeptRefused  = "limit_refused" // since the last refusal
	KeptAudit    = "audit"         // since it was written
	KeptReplicas = "replicas"      // since they were last seen
	KeptSizes    = "sizes"         // since they were measured
)

// CutoffLife is how long a cut-off may matter: the longest life of a refresh token, and a day for clocks that were wrong. Whatever an
// older one could kill is dead.
const CutoffLife = MaxRefreshTTL*time.Second + 24*time.Hour

// MaxKept is the longest that anything may be kept: ten years.
const MaxKept = 87_600 * time.Hour

// MaxDue bounds what is counted, not what is removed.
const MaxDue = 100_000

// A KeptKind says how long a kind is kept when nobody says otherwise, and how short that may be made: below it a promise
// would break.
type KeptKind struct {
	Name    string
	Default time.Duration
	Least   time.Duration
	Doc     string // what a person reads
}

const (
	anHour = time.Hour
	aDay   = 24 * time.Hour
)

// KeptKinds is every kind there is, in the order in which a run looks at them.
var KeptKinds = [...]KeptKind{
	// A clock that was wrong for less than this loses no token that lives.
	{KeptTokens, aDay, anHour, "access tokens, since they expired; in Postgres a day's tokens go at once (SQLite: 1h)"},
	// What it denies is dead without it, but by a clock that is right: one that runs ahead must not bring back to life tokens whose rows
	// stand. So denials stay as long as those by default.
	{KeptDenials, aDay, aDay, "denials of tokens, grants, sessions and keys, since what they deny expired"},
	// A replica whose place in the feed is gone loads everything anew, which is right but dear: a load of millions of denials, and
	// the polls after it, must find the place where they began.
	{KeptChanges, anHour, 10 * time.Minute, "changes that replicas follow, since they were made"},
	// The second redemption of a code ends its grant (RFC 6749 §4.1.2): it is noticed as long as the code is kept.
	{KeptCodes, anHour, 10 * time.Minute, "authorization codes, since they expired"},
	// What has expired is refused whether it is there or not.
	{KeptPushed, 0, 0, "pushed authorization requests, since they expired"},
	{KeptJTIs, 0, 0, "ids of client assertions, since the assertions expired"},
	// Tokens of a user are found through the grants, and live a day longer than those at most.
	{KeptGrants, 7 * aDay, MaxTokenLife, "grants, since they ended"},
	// Those of clients that are there stay until they are withdrawn.
	{KeptConsents, 0, 0, "consents to clients that are gone, since they were given"},
	// Retries take minutes; all replicas may be down for longer than that.
	{KeptLogouts, aDay, anHour, "logouts that could not be delivered, since they were last due"},
	// The counts that operators see go back for an hour.
	{KeptMinutes, anHour, anHour, "counts of the rate limits, since they were counted"},
	// A guard, which lasts a day at most, tells keys that are new from those that were refused before.
	{KeptRefused, aDay, aDay, "keys that rate limits refused, since they last were"},
	// A limit that is deleted and made again goes on from the version that the audit knows. By then no count in Redis and no
	// refused key may be left of it. And an intrusion is rarely noticed on the day.
	{KeptAudit, 400 * aDay, 30 * aDay, "the audit, since it was written"},
	// Those that were just replaced are what a bad deploy is recognised by.
	{KeptReplicas, 7 * aDay, anHour, "servers that are gone, since they were last seen"},
	// Growth is reckoned over days.
	{KeptSizes, 35 * aDay, 2 * aDay, "sizes of the tables, since they were measured"},
	// A cut-off that goes earlier brings back to life what it killed.
	{KeptCutoffs, CutoffLife, CutoffLife, "cut-offs, since they were made"},
}

// A Kept is the retention of one kind, as it is.
type Kept struct {
	Kind    string    `json:"kind"`
	Keep    Period    `json:"keep"` // in force
	Default Period    `json:"default"`
	Least   Period    `json:"least"`
	Own     bool      `json:"own"`     // set by an operator, not the default
	Version int64     `json:"version"` // of the setting; 0: never set
	Rows    int64     `json:"rows"`    // an estimate; SQLite counts up to MaxDue
	Bytes   int64     `json:"bytes"`   // with indexes; 0 where it is not known, as in SQLite
	Due     int64     `json:"due"`     // rows (of tokens in Postgres: partitions) that a run takes, counted up to MaxDue
	Ran     time.Time `json:"ran,omitzero"`
	Removed int64     `json:"removed"` // by the last run
	Total   int64     `json:"total"`   // by all runs
	Took    int64     `json:"took_ms"`
	Fault   string    `json:"fault,omitempty"` // of the last run
}

// Unset is the retention of every kind while nobody has said or done anything.
func Unset() []Kept {
	all := make([]Kept, len(KeptKinds))
	for i, k := range KeptKinds {
		all[i] = Kept{Kind: k.Name, Keep: Period(k.Default), Default: Period(k.Default), Least: Period(k.Least)}
	}
	return all
}

// Stored is how long a kind is kept of which the store says so many seconds: within the bounds, whoever wrote it. Those of another
// release may be others.
func (k *Kept) Stored(seconds int64) Period {
	seconds = max(0, min(seconds, int64(MaxKept/time.Second)))
	return max(Period(seconds)*Period(time.Second), k.Least)
}

// Before is the time before which what is kept has to go.
func (k *Kept) Before(now time.Time) time.Time { return now.Add(-time.Duration(k.Keep)) }

// Next is k as the version after old, whatever k says of what is not to be set. Its error is a [*FieldError].
func (k Kept) Next(old *Kept) (Kept, error) {
	next := *old
	next.Own, next.Keep, next.Version = k.Own, old.Default, old.Version+1
	if !k.Own {
		return next, nil
	}
	if k.Keep < old.Least || k.Keep > Period(MaxKept) {
		return Kept{}, &FieldError{"keep", fmt.Sprintf("must be %s to %s for %s", old.Least, Period(MaxKept), old.Kind)}
	}
	if time.Duration(k.Keep)%time.Second != 0 {
		return Kept{}, &FieldError{"keep", "must be whole seconds"}
	}
	next.Keep = k.Keep
	return next, nil
}

// A keptSetting is what the audit tells of a [Kept].
type keptSetting struct {
	Keep    Period `json:"keep"`
	Own     bool   `json:"own"`
	Version int64  `json:"version"`
}

// AuditKept is the audit row of a change of how long a kind is kept. Its object is "retention" and the kind.
func AuditKept(at time.Time, actor Actor, before, after *Kept) Audit {
	return Audit{
		At: at, Actor: actor.String(), Action: "retention.set", Object: "retention " + after.Kind,
		Before: mustJSON(keptSetting{before.Keep, before.Own, before.Version}),
		After:  mustJSON(keptSetting{after.Keep, after.Own, after.Version}),
	}
}
