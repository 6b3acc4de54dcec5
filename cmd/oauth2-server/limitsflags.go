package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

// limitFlags are the flags that describe a limit, or a value of one.
type limitFlags struct {
	*pflag.FlagSet
	rate                rateFlag
	burst               int64
	endpoint, key, mode string
	guard               guardFlag
}

// newLimitFlags are those of a command: all for set, those of a value for the others.
func newLimitFlags(command string) *limitFlags {
	f := &limitFlags{FlagSet: pflag.NewFlagSet(command, pflag.ContinueOnError)}
	f.Var(&f.rate, "rate", "requests in a time, like 500/1s or 10/15m")
	if command != "set" {
		f.Int64Var(&f.burst, "burst", 0, "how many of them may come at once; default: the rate's")
		return f
	}
	f.Int64Var(&f.burst, "burst", 0, "how many of them may come at once; default for a new limit: the rate's")
	f.StringVar(&f.mode, "mode", "", "off, shadow (count what would be refused), enforce or block (refuse everything)")
	f.StringVar(&f.endpoint, "endpoint", "", strings.Join(slices.Sorted(maps.Keys(limits.Endpoints())), ", "))
	f.StringVar(&f.key, "key", "", "who pays: ip, client, client+ip, username or global")
	f.Var(&f.guard, "guard", "take a change back when more than so many new keys are refused in a time after it, like 50/5m; none: no guard")
	return f
}

// quota is the value that the flags say.
func (f *limitFlags) quota() store.Quota {
	q := f.rate.Quota
	if q.Burst = q.Rate; f.Changed("burst") {
		q.Burst = f.burst
	}
	return q
}

// patch is what flags were given for.
func (f *limitFlags) patch() limits.Patch {
	p := limits.Patch{
		Endpoint: given(f, "endpoint", &f.endpoint), Key: given(f, "key", &f.key), Mode: given(f, "mode", &f.mode),
		Rate: given(f, "rate", &f.rate.Rate), Period: given(f, "rate", &f.rate.Period), Burst: given(f, "burst", &f.burst),
	}
	if f.Changed("guard") {
		p.Guard, p.EndGuard = f.guard.guard, true
	}
	return p
}

// given is the value of a flag, nil when it was not given.
func given[T any](f *limitFlags, flag string, value *T) *T {
	if f.Changed(flag) {
		return value
	}
	return nil
}

// A rateFlag is a rate as people write it.
type rateFlag struct{ store.Quota }

func (r *rateFlag) String() string {
	if r.Rate == 0 {
		return ""
	}
	return rateText(r.Quota)
}

// Set reads "500/1s".
func (r *rateFlag) Set(text string) (err error) {
	r.Rate, r.Period, err = parseRate(text)
	return err
}

// Type names the value in the help.
func (*rateFlag) Type() string { return "N/TIME" }

// A guardFlag is a guard as people write it.
type guardFlag struct{ guard *store.Guard }

func (g *guardFlag) String() string { return guardText(g.guard) }

// Set reads "50/5m", or "none".
func (g *guardFlag) Set(text string) (err error) {
	g.guard = nil
	if text == "none" {
		return nil
	}
	var guard store.Guard
	guard.MaxNewRefusedKeys, guard.Within, err = parseRate(text)
	g.guard = &guard
	return err
}

// Type names the value in the help.
func (*guardFlag) Type() string { return "N/TIME" }

var errRate = errors.New("is not like 500/1s or 10/15m")

// parseRate reads a number in a time, of which the number 1 may be left out: "500/s". Whether they are sensible is for
// store.Limit.Validate to say.
func parseRate(text string) (int64, store.Period, error) {
	number, period, _ := strings.Cut(text, "/")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, 0, errRate
	}
	if strings.HasPrefix(period, "s") || strings.HasPrefix(period, "m") || strings.HasPrefix(period, "h") {
		period = "1" + period
	}
	d, err := time.ParseDuration(period)
	if err != nil {
		return 0, 0, errRate
	}
	return n, store.Period(d), nil
}

// limitFlagOf is the flag that says a field of a limit.
func limitFlagOf(field string) string {
	switch part, _, _ := strings.Cut(field, "."); part {
	case "overrides":
		return field
	case "guard":
		return "--guard"
	}
	switch name := strings.TrimPrefix(field, "trial."); name {
	case "rate", "period":
		return "--rate"
	case "burst", "mode", "endpoint", "key", "version", "last", "resolution":
		return "--" + name
	}
	return field
}

// aboutLimit says what is wrong by the names of the flags.
func aboutLimit(name string, err error) error {
	faults := store.FieldErrors(err)
	if faults == nil {
		return err
	}
	text := fmt.Sprintf("limit %q is refused:", name)
	for _, fault := range faults {
		text += "\n  " + limitFlagOf(fault.Field) + ": " + fault.Problem
	}
	return errors.New(text)
}
