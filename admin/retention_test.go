package admin

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

func newRetentionDesk(t *testing.T) *limitDesk {
	d := newLimitDesk(t)
	d.url = strings.TrimSuffix(d.url, "/limits") + "/retention"
	return d
}

func (d *limitDesk) kept(path, method, body string) map[string]store.Kept {
	d.Helper()
	var list keptList
	if status := d.do(method, path, "", body, &list); status != http.StatusOK {
		d.Fatalf("%s %s: got %d, want 200", method, path, status)
	}
	all := map[string]store.Kept{}
	for _, k := range list.Items {
		all[k.Kind] = k
	}
	return all
}

func TestRetentionIsSetAndRun(t *testing.T) {
	d := newRetentionDesk(t)
	denial := store.Denial{Kind: store.DenyToken, ID: store.NewID(time.Now()), Expires: time.Now().Unix() - 25*3600}
	if err := d.db.Deny(t.Context(), []store.Denial{denial}); err != nil {
		t.Fatal(err)
	}
	if all := d.kept("", "GET", ""); len(all) != len(store.KeptKinds) || all["denials"].Due != 1 {
		t.Errorf("got %+v, want every kind, and one denial that is due", all)
	}
	var k store.Kept
	if status := d.do("PATCH", "/denials", "", `{"keep":"48h"}`, &k); status != 200 || k.Keep != store.Period(48*time.Hour) || !k.Own || k.Version != 1 || k.Rows != 1 {
		t.Errorf("PATCH: got %d, %+v", status, k)
	}
	if all := d.kept("/run", "POST", ""); all["denials"].Removed != 0 {
		t.Errorf("a run: %+v, want nothing removed", all["denials"])
	}
	if status := d.do("PATCH", "/denials", `"7"`, `{"keep":null}`, nil); status != http.StatusConflict {
		t.Errorf("PATCH of another version: got %d, want 409", status)
	}
	if status := d.do("PATCH", "/denials", `"1"`, `{"keep":null}`, &k); status != 200 || k.Own || k.Version != 2 {
		t.Errorf("PATCH to the default: got %d, %+v", status, k)
	}
	if all := d.kept("/run?dry_run=true", "POST", `{"kinds":["denials"]}`); len(all) != 1 || all["denials"].Due != 1 || all["denials"].Rows != 1 {
		t.Errorf("a dry run: %+v, want one denial that is due", all)
	}
	if all := d.kept("/run", "POST", `{"kinds":["denials"]}`); len(all) != 1 || all["denials"].Removed != 1 {
		t.Errorf("a run: %+v, want one denial removed", all)
	}
	if all := d.kept("", "GET", ""); all["denials"].Rows != 0 || all["denials"].Total != 1 {
		t.Errorf("after it: %+v", all["denials"])
	}
}

func TestRetentionRefuses(t *testing.T) {
	d := newRetentionDesk(t)
	for _, test := range []struct {
		method, path, body string
		status             int
	}{
		{"PATCH", "/tokens", `{"keep":"1m"}`, http.StatusBadRequest},
		{"PATCH", "/tokens", `{"keep":"soon"}`, http.StatusBadRequest},
		{"PATCH", "/clients", `{"keep":"24h"}`, http.StatusNotFound},
		{"POST", "/run", `{"kinds":["clients"]}`, http.StatusBadRequest},
		{"POST", "/run?dry_run=maybe", "", http.StatusBadRequest},
	} {
		if status := d.do(test.method, test.path, "", test.body, nil); status != test.status {
			t.Errorf("%s %s %s: got %d, want %d", test.method, test.path, test.body, status, test.status)
		}
	}
	if k := d.kept("", "GET", "")["tokens"]; k.Version != 0 {
		t.Errorf("after refusals: %+v", k)
	}
}
