package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

var testEndpoints = map[string][]string{"token": {LimitByIP, LimitByClient}}

// goodLimit is a limit that is right in every part.
func goodLimit() Limit {
	quota := Quota{Rate: 10, Period: Period(time.Minute), Burst: 20}
	trial, own := quota, quota
	return Limit{
		Name: "token.ip+a_b-1", Endpoint: "token", Key: LimitByIP, Quota: quota, Mode: LimitShadow, Trial: &trial,
		Overrides: map[string]Override{"10.0.0.1": {Quota: &own}, "größe": {Mode: OverrideExempt}, "b": {Mode: OverrideBlock}},
		Guard:     &Guard{MaxNewRefusedKeys: 50, Within: Period(5 * time.Minute)},
	}
}

func TestValidateAcceptsAGoodLimit(t *testing.T) {
	l := goodLimit()
	if err := l.Validate(testEndpoints); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestValidateRefusesALimit(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(l *Limit)
		field string
	}{
		"no name":              {func(l *Limit) { l.Name = "" }, "name"},
		"long name":            {func(l *Limit) { l.Name = strings.Repeat("a", 65) }, "name"},
		"name in upper case":   {func(l *Limit) { l.Name = "A" }, "name"},
		"name with a slash":    {func(l *Limit) { l.Name = "a/b" }, "name"},
		"unknown endpoint":     {func(l *Limit) { l.Endpoint = "tokens" }, "endpoint"},
		"key of another":       {func(l *Limit) { l.Key = LimitByUsername }, "key"},
		"unknown mode":         {func(l *Limit) { l.Mode = "on" }, "mode"},
		"no mode":              {func(l *Limit) { l.Mode = "" }, "mode"},
		"rate of zero":         {func(l *Limit) { l.Rate = 0 }, "rate"},
		"negative rate":        {func(l *Limit) { l.Rate = -1 }, "rate"},
		"absurd rate":          {func(l *Limit) { l.Rate = 10_000_001 }, "rate"},
		"burst of zero":        {func(l *Limit) { l.Burst = 0 }, "burst"},
		"absurd burst":         {func(l *Limit) { l.Burst = 1 << 60 }, "burst"},
		"no period":            {func(l *Limit) { l.Period = 0 }, "period"},
		"short period":         {func(l *Limit) { l.Period = Period(time.Second - 1) }, "period"},
		"long period":          {func(l *Limit) { l.Period = Period(24*time.Hour + 1) }, "period"},
		"trial of zero":        {func(l *Limit) { l.Trial.Rate = 0 }, "trial.rate"},
		"override of zero":     {func(l *Limit) { l.Overrides["10.0.0.1"].Rate = 0 }, "overrides.10.0.0.1.rate"},
		"override of nothing":  {func(l *Limit) { l.Overrides["x"] = Override{} }, "overrides.x"},
		"override twice":       {func(l *Limit) { l.Overrides["x"] = Override{Quota: l.Trial, Mode: OverrideBlock} }, "overrides.x"},
		"override, mode":       {func(l *Limit) { l.Overrides["x"] = Override{Mode: "off"} }, "overrides.x.mode"},
		"override, no key":     {func(l *Limit) { l.Overrides[""] = Override{Mode: OverrideBlock} }, "overrides."},
		"override, NUL in key": {func(l *Limit) { l.Overrides["\x00"] = Override{Mode: OverrideBlock} }, "overrides.\x00"},
		"too many overrides": {func(l *Limit) {
			for i := range 1001 {
				l.Overrides[fmt.Sprint(i)] = Override{Mode: OverrideBlock}
			}
		}, "overrides"},
		"guard of zero":      {func(l *Limit) { l.Guard.MaxNewRefusedKeys = 0 }, "guard.max_new_refused_keys"},
		"guard without time": {func(l *Limit) { l.Guard.Within = 0 }, "guard.within"},
	} {
		t.Run(name, func(t *testing.T) {
			l := goodLimit()
			test.spoil(&l)
			fault, ok := errors.AsType[*FieldError](l.Validate(testEndpoints))
			if !ok || fault.Field != test.field {
				t.Errorf("got %v, want a fault of %s", l.Validate(testEndpoints), test.field)
			}
		})
	}
}

func TestLimitIsTheJSONThatOperatorsWrite(t *testing.T) {
	const text = `{"name":"introspect.client","endpoint":"introspect","key":"client","rate":500,"period":"1s","burst":1000,"mode":"enforce",` +
		`"trial":{"rate":5,"period":"15m","burst":1},"overrides":{"a":{"rate":1,"period":"1h30m","burst":2},"b":{"mode":"exempt"}},` +
		`"guard":{"max_new_refused_keys":50,"within":"24h"},"version":7,"created":"2026-11-23T00:00:00Z","updated":"2026-11-23T00:00:00Z"}`
	var l Limit
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		t.Fatal(err)
	}
	if l.Period != Period(time.Second) || l.Overrides["a"].Rate != 1 || l.Overrides["b"].Quota != nil {
		t.Errorf("got %+v", l)
	}
	if got := mustJSON(l); string(got) != text {
		t.Errorf("got %s, want %s", got, text)
	}
}

func TestCloneOfALimitSharesNothing(t *testing.T) {
	l, want := goodLimit(), goodLimit()
	c := l.Clone()
	c.Trial.Rate, c.Guard.Within, c.Overrides["10.0.0.1"].Rate = 1, 1, 1
	c.Overrides["new"] = Override{Mode: OverrideBlock}
	if !reflect.DeepEqual(l, want) {
		t.Errorf("a change of the clone made %+v of %+v", l, want)
	}
}

func FuzzPeriod(f *testing.F) {
	for _, text := range []string{"1s", "15m", "24h", "1h30m", "0s", "-1s", "1.5s", "10m0s", "9999999h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var p, again Period
		if p.UnmarshalText([]byte(text)) != nil {
			return
		}
		written, _ := p.MarshalText()
		if err := again.UnmarshalText(written); err != nil || again != p {
			t.Errorf("%q is %d, written %q, read %d, %v", text, p, written, again, err)
		}
	})
}

// Who can have as many new keys refused as he likes could take back any change.
func TestValidateRefusesAGuardWhereKeysAreInvented(t *testing.T) {
	keys := []string{LimitByIP, LimitByClient}
	for endpoint, bad := range map[string]bool{"login": true, "failures": true, "token": false} {
		l := goodLimit()
		l.Endpoint = endpoint
		fault, ok := errors.AsType[*FieldError](l.Validate(map[string][]string{"login": keys, "failures": keys, "token": keys}))
		if ok != bad || bad && fault.Field != "guard" {
			t.Errorf("%s: got %v, want a guard refused: %v", endpoint, fault, bad)
		}
	}
}
