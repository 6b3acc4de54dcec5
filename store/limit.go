package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// What a [Limit] does with a request above it.
const (
	LimitOff     = "off"     // the rule is not looked at
	LimitShadow  = "shadow"  // it is counted what would be refused; nothing is
	LimitEnforce = "enforce" // refused
	LimitBlock   = "block"   // every request is refused, whatever the value
)

// Who pays for a request: the key under which it is counted.
const (
	LimitByIP       = "ip" // IPv6 by /64
	LimitByClient   = "client"
	LimitByClientIP = "client+ip" // written CLIENT@IP
	LimitByUsername = "username"
	LimitByNobody   = "global" // one count for all
)

// Modes of an [Override], beside "" for a value of its own.
const (
	OverrideExempt = "exempt" // never refused, not counted
	OverrideBlock  = "block"  // always refused
)

// A Quota is the value of a limit: Rate requests in each Period, of which Burst may come at once.
type Quota struct {
	Rate   int64  `json:"rate"`
	Period Period `json:"period"`
	Burst  int64  `json:"burst"`
}

// A Limit is a rate limit as operators set it. It never changes in place: a change is a new value with the next version.
type Limit struct {
	Name     string `json:"name"`
	Endpoint string `json:"endpoint"`
	Key      string `json:"key"`
	Quota
	Mode      string              `json:"mode"`
	Trial     *Quota              `json:"trial,omitempty"`     // evaluated beside the live value on the same requests; refuses nothing
	Overrides map[string]Override `json:"overrides,omitempty"` // by key
	Guard     *Guard              `json:"guard,omitempty"`
	Restored  bool                `json:"restored,omitempty"` // the value since Since is one taken back: the guard leaves it alone
	Version   int64               `json:"version"`            // set by the store, from 1, and on over the limits that a name had
	Since     int64               `json:"since,omitempty"`    // set by the store: the version that last changed what is refused: see Next
	SinceAt   time.Time           `json:"since_at,omitzero"`  // set by the store: the time of that version
	Created   time.Time           `json:"created"`            // set by the store
	Updated   time.Time           `json:"updated"`            // set by the store
}

// An Override is what holds for one key instead of the rule's own value.
type Override struct {
	*Quota        // nil where Mode says all
	Mode   string `json:"mode,omitempty"`
}

// A Guard takes a change of the limit back, once, when more than so many keys are refused within the time
// after it that were never refused before it.
type Guard struct {
	MaxNewRefusedKeys int64  `json:"max_new_refused_keys"`
	Within            Period `json:"within"`
}

// A Period is a time that JSON and people write like "1s" or "15m".
type Period time.Duration

// MarshalText writes what [time.ParseDuration] reads, without parts that are zero.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a duration.
func (p *Period) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("is no duration like 1s, 15m or 24h")
	}
	*p = Period(d)
	return nil
}

func (p Period) String() string {
	text := time.Duration(p).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// Bounds of limits. With them a period's permits stay exact in the double of a Redis script.
const (
	maxLimitName   = 64
	maxLimitRate   = 10_000_000
	maxLimitPeriod = 24 * time.Hour
	maxOverrides   = 1000
	maxLimitKey    = 400 // bytes of a key that is overridden
)

// Invented reports whether whoever asks says himself by which names requests of the endpoint are counted: before he has
// proved anything, names of clients and users are what anybody types, and it may be a secret in the wrong field.
func Invented(endpoint string) bool { return endpoint == "login" || endpoint == "failures" }

// Validate says all that is wrong with a limit, as joined errors of type [*FieldError]. endpoints maps those there are to
// the keys that their requests can be counted by.
func (l *Limit) Validate(endpoints map[string][]string) error {
	var faults []error
	refuse := func(bad bool, field, format string, args ...any) {
		if bad {
			faults = append(faults, &FieldError{field, fmt.Sprintf(format, args...)})
		}
	}
	name := func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._+-", r) }
	refuse(l.Name == "" || len(l.Name) > maxLimitName || strings.ContainsFunc(l.Name, name), "name",
		"must have 1 to %d characters of a-z, 0-9, dot, plus, minus and underscore", maxLimitName)
	keys, known := endpoints[l.Endpoint]
	refuse(!known, "endpoint", "must be one of %s", strings.Join(slices.Sorted(maps.Keys(endpoints)), ", "))
	refuse(known && !slices.Contains(keys, l.Key), "key", "must be one of %s for the endpoint %s", strings.Join(keys, ", "), l.Endpoint)
	refuse(!slices.Contains([]string{LimitOff, LimitShadow, LimitEnforce, LimitBlock}, l.Mode), "mode", "must be off, shadow, enforce or block")
	faults = l.validate(faults, "") // the value it embeds
	if l.Trial != nil {
		faults = l.Trial.validate(faults, "trial.")
	}
	refuse(len(l.Overrides) > maxOverrides, "overrides", "must be at most %d", maxOverrides)
	for _, key := range slices.Sorted(maps.Keys(l.Overrides)) {
		faults = l.Overrides[key].validate(faults, key)
	}
	if g := l.Guard; g != nil {
		refuse(g.MaxNewRefusedKeys < 1 || g.MaxNewRefusedKeys > maxLimitRate, "guard.max_new_refused_keys", "must be 1 to %d", maxLimitRate)
		refuse(Invented(l.Endpoint), "guard", "cannot be on the endpoint %s: a stranger can have as many new keys refused there as he likes, and so "+
			"take back any change", l.Endpoint)
		refuse(g.Within < Period(time.Second) || g.Within > Period(maxLimitPeriod), "guard.within", "must be 1s to 24h")
	}
	return errors.Join(faults...)
}

func (q *Quota) validate(faults []error, prefix string) []error {
	refuse := func(bad bool, field, format string, args ...any) {
		if bad {
			faults = append(faults, &FieldError{prefix + field, fmt.Sprintf(format, args...)})
		}
	}
	refuse(q.Rate < 1 || q.Rate > maxLimitRate, "rate", "must be 1 to %d; to refuse everything, set the mode to block", maxLimitRate)
	refuse(q.Burst < 1 || q.Burst > maxLimitRate, "burst", "must be 1 to %d", maxLimitRate)
	refuse(q.Period < Period(time.Second) || q.Period > Period(maxLimitPeriod), "period", "must be 1s to 24h")
	return faults
}

func (o Override) validate(faults []error, key string) []error {
	field := fmt.Sprintf("overrides.%.80s", key)
	switch {
	case key == "" || len(key) > maxLimitKey || !isText(key):
		return append(faults, &FieldError{field, fmt.Sprintf("the key must have 1 to %d bytes without control and invisible characters", maxLimitKey)})
	case o.Mode == OverrideExempt || o.Mode == OverrideBlock:
		if o.Quota != nil {
			return append(faults, &FieldError{field, "has a mode and a value: one of them"})
		}
		return faults
	case o.Mode != "":
		return append(faults, &FieldError{field + ".mode", "must be exempt or block, or left out"})
	case o.Quota == nil:
		return append(faults, &FieldError{field, "needs rate, period and burst, or a mode"})
	}
	return o.Quota.validate(faults, field+".")
}

// Clone is a copy that shares nothing with l.
func (l Limit) Clone() Limit {
	l.Trial, l.Guard = clonePointer(l.Trial), clonePointer(l.Guard)
	l.Overrides = maps.Clone(l.Overrides)
	for key, o := range l.Overrides {
		o.Quota = clonePointer(o.Quota)
		l.Overrides[key] = o
	}
	return l
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// Next is l as the version after old. A limit that is new, old is nil, goes on from last, the version that an earlier one of its
// name had, 0 when there was none: a version means one value for ever.
//
// Since moves with what decides who is refused: endpoint, key, mode and value. With it stays what is known of them: an override or
// a trial makes nothing restored, and nothing that was not.
func (l Limit) Next(old *Limit, last int64, now time.Time) Limit {
	l.Version, l.Created, l.Updated = last+1, now, now
	l.Since, l.SinceAt = l.Version, now
	if old == nil {
		return l
	}
	l.Version, l.Created = old.Version+1, old.Created
	l.Since = l.Version
	if l.Endpoint == old.Endpoint && l.Key == old.Key && l.Mode == old.Mode && l.Quota == old.Quota {
		l.Since, l.SinceAt, l.Restored = old.Decided(), old.DecidedAt(), old.Restored
	}
	return l
}

// Decided is Since, also of a limit from before there was one.
func (l *Limit) Decided() int64 { return cmp.Or(l.Since, l.Version) }

// DecidedAt is SinceAt, likewise.
func (l *Limit) DecidedAt() time.Time {
	if l.Since == 0 {
		return l.Updated
	}
	return l.SinceAt
}

// LastVersion is the newest version that the newest row of a limit's audit tells of: before and after are its JSON.
func LastVersion(before, after []byte) (int64, error) {
	last := int64(0)
	for _, text := range [][]byte{before, after} {
		var l Limit
		if text == nil {
			continue
		}
		if err := json.Unmarshal(text, &l); err != nil {
			return 0, fmt.Errorf("read the last version of a limit from the audit: %w", err)
		}
		last = max(last, l.Version)
	}
	return last, nil
}

// MaxRefusedKeys is about how many keys of a limit are remembered as refused; those beyond it are not counted as newly refused.
const MaxRefusedKeys = 20_000

// A LimitMinute is what one replica counted in one minute.
type LimitMinute struct {
	Replica ID                    `json:"replica"`
	Minute  int64                 `json:"minute"` // Unix minutes
	Rules   map[string]RuleMinute `json:"rules"`  // by name of the limit
}

// A RuleMinute is the counts of one limit: a number for each second of the minute, those at the end that are zero left out.
type RuleMinute struct {
	Allowed []int64     `json:"allowed,omitempty"`
	Refused []int64     `json:"refused,omitempty"`
	Would   []int64     `json:"would_refuse,omitempty"` // by the live value, in shadow
	Trial   []int64     `json:"trial_refuse,omitempty"` // by the trial value
	Top     []KeyMinute `json:"top,omitempty"`
}

// A KeyMinute is the counts of one of the busiest keys.
type KeyMinute struct {
	Key     string `json:"key"`
	Allowed int64  `json:"allowed,omitempty"`
	Refused int64  `json:"refused,omitempty"` // or would be, in shadow
}

// A RefusedKey is a key that a limit has refused, and the version that was the first to. Only a hash of the key is kept.
type RefusedKey struct {
	Limit   string
	Hash    [16]byte
	Version int64
}
