package admin

import (
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

// agedKeys makes the keys of the ring older than they are: they were published so long ago.
func (o *operator) agedKeys(by time.Duration) {
	o.t.Helper()
	err := o.db.ChangeKeys(o.t.Context(), store.Actor{Kind: "cli", ID: "test"}, "keys.add", func(all []store.Key) ([]store.Key, error) {
		for i := range all {
			all[i].Created = all[i].Created.Add(-by)
			all[i].Since = all[i].Created
		}
		return all, nil
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// states counts the keys of a use by state.
func states(list keyList, use string) map[string]int {
	count := map[string]int{}
	for _, k := range list.Keys {
		if k.Use == use {
			count[k.State]++
		}
	}
	return count
}

func TestKeysAreListedWithoutTheirPrivateParts(t *testing.T) {
	o := newOperator(t)
	o.agedKeys(time.Minute)
	list := get[keyList](o, "/keys")
	if len(list.Keys) != 4 {
		t.Fatalf("got %d keys, want 4", len(list.Keys))
	}
	for _, k := range list.Keys {
		ready := k.Since.Add(2 * time.Second)
		if k.Use == store.UseSign {
			ready = k.Since.Add(time.Hour)
		}
		if !k.Open || k.Age < 60 || k.Age > 3600 || (k.Ready != nil) != (k.State == store.KeyNext) || k.Ready != nil && !k.Ready.Equal(ready) {
			t.Errorf("got %+v, want it open, about a minute old, and ready at %v if it is next", k, ready)
		}
	}
	body := o.ask(200, "GET", "/keys", "").body
	for _, hidden := range []string{"seals", "sealed", "private"} {
		if strings.Contains(body, hidden) {
			t.Errorf("the list has %q in it", hidden)
		}
	}
}

func TestKeysRotate(t *testing.T) {
	o := newOperator(t)
	o.agedKeys(2 * time.Hour)
	old := o.token("json", "admin")
	for _, one := range []struct{ body, use, other string }{{`{"use":"sign"}`, store.UseSign, store.UseMAC}, {`{"use":"mac"}`, store.UseMAC, ""}} {
		list := post[keyList](o, "/keys/rotate", one.body)
		o.audited("keys.rotate", "ring")
		if got := states(list, one.use); got[store.KeyActive] != 1 || got[store.KeyNext] != 1 || got[store.KeyRetiring] != 1 {
			t.Errorf("%s: got %v, want one key active, one next, one retiring", one.use, got)
		}
		if got := states(list, one.other); got[store.KeyRetiring] != 0 {
			t.Errorf("%s: got %v of %s, which was not to be rotated", one.use, got, one.other)
		}
	}
	if !o.active(old) {
		t.Error("a token of the retiring key is not active any more")
	}
}

func TestAKeyThatIsTooNewIsRefusedWithTheTime(t *testing.T) {
	o := newOperator(t)
	o.agedKeys(time.Minute)
	r := o.ask(409, "POST", "/keys/rotate", "")
	p := r.problem(t)
	var ready time.Time
	for _, k := range get[keyList](o, "/keys").Keys {
		if k.Use == store.UseSign && k.Ready != nil {
			ready = *k.Ready
		}
	}
	if !strings.Contains(p.Detail, ready.Format(time.RFC3339)) || !strings.Contains(p.Detail, "emergency") || r.Header.Get("Retry-After") == "" {
		t.Errorf("got %q and Retry-After %q, want when it may be done", p.Detail, r.Header.Get("Retry-After"))
	}
	if got := states(get[keyList](o, "/keys"), store.UseMAC); got[store.KeyRetiring] != 0 {
		t.Errorf("got %v, want nothing rotated", got)
	}
}

func TestAnEmergencyEndsWhatTheOldKeysMade(t *testing.T) {
	o := newOperator(t)
	o.agedKeys(time.Minute)
	texts := []string{o.token("robot", "read"), o.token("json", "admin")}
	list := post[keyList](o, "/keys/rotate", `{"emergency":true}`)
	o.audited("keys.rotate", "ring")
	for _, use := range []string{store.UseSign, store.UseMAC} {
		if got := states(list, use); got[store.KeyRetired] != 1 || got[store.KeyActive] != 1 || got[store.KeyNext] != 1 {
			t.Errorf("got %v, want one %s key retired", got, use)
		}
	}
	o.tier.AwaitPoll()
	o.tier.AwaitPoll()
	for i, text := range texts {
		if o.active(text) {
			t.Errorf("token %d of a retired key is active", i)
		}
	}
	if !o.active(o.token("json", "admin")) {
		t.Error("the new key makes no active tokens")
	}
}

func TestKeysOfASharedSecretAreNotRotated(t *testing.T) {
	o := newOperator(t, func(options *Options) { options.Alg = "HS256" })
	o.agedKeys(time.Hour)
	o.ask(200, "POST", "/keys/rotate", `{"use":"sign"}`) // the keys of id_tokens
	o.ask(200, "POST", "/keys/rotate", `{"use":"mac"}`)
	o.ask(400, "POST", "/keys/rotate", `{"use":"jwt"}`)
}
