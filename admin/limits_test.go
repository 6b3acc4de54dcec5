package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"oauth2-server/cache"
	"oauth2-server/cache/limits"
	"oauth2-server/hotpath/login"
	"oauth2-server/store"
	"oauth2-server/store/sqlite"
)

// A limitDesk is an operator, signed in, in front of a listener on a real socket.
type limitDesk struct {
	*testing.T
	db     *sqlite.DB
	url    string
	cookie *http.Cookie
}

func newLimitDesk(t *testing.T) *limitDesk {
	t.Helper()
	db, err := sqlite.Open(sqlite.Options{Path: sqlite.Memory, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	sessions, err := login.ParseKeys(strings.Repeat("k", 32))
	if err != nil {
		t.Fatal(err)
	}
	user, err := db.ChangeUser(t.Context(), store.Actor{Kind: "test"}, "user.create", store.NewID(time.Now()), func(*store.User) (*store.User, error) {
		return &store.User{Username: "ann", Role: store.RoleAdmin, Password: "none that works"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	set, log := metrics.NewSet(), slog.New(slog.DiscardHandler)
	tier := cache.New(cache.Options{Store: db, Keys: func([]store.Key, bool) {}, Metrics: set, Log: log}) // it follows nothing: nothing was revoked
	s, err := New(Options{DB: db, Tier: tier, Sessions: sessions, Metrics: set, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	cookie := &http.Cookie{Name: cookieName, Value: sessions.Seal(login.ForAdmin, login.NewSession(&user, time.Now()))}
	return &limitDesk{t, db, server.URL + "/admin/api/limits", cookie}
}

// do sends a request; header is "" or an If-Match. It decodes the answer into out, unless that is nil.
func (d *limitDesk) do(method, path, match, body string, out any) int {
	d.Helper()
	r, err := http.NewRequestWithContext(d.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	r.AddCookie(d.cookie)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if match != "" {
		r.Header.Set("If-Match", match)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		d.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			d.Fatalf("%s %s: got %d %s: %v", method, path, answer.StatusCode, text, err)
		}
	}
	return answer.StatusCode
}

// limit is what a request answers that has to succeed with the status.
func (d *limitDesk) limit(status int, method, path, body string) (l store.Limit) {
	d.Helper()
	var raw json.RawMessage
	if got := d.do(method, path, "", body, &raw); got != status {
		d.Fatalf("%s %s: got %d %s, want %d", method, path, got, raw, status)
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		d.Fatal(err)
	}
	return l
}

// wrong is the fields that a request is refused for.
func (d *limitDesk) wrong(method, path, body string) (fields []string) {
	d.Helper()
	var p problem
	if got := d.do(method, path, "", body, &p); got != http.StatusBadRequest {
		d.Fatalf("%s %s %s: got %d %+v, want 400", method, path, body, got, p)
	}
	for _, e := range p.Errors {
		fields = append(fields, e.Field)
	}
	return fields
}

const aLimit = `{"name":"x","endpoint":"introspect","key":"client","rate":500,"period":"1s","burst":1000,"mode":"enforce",
	"trial":{"rate":300,"period":"1s","burst":600},"overrides":{"billing":{"rate":900,"period":"1s","burst":900},"probe":{"mode":"exempt"}},
	"guard":{"max_new_refused_keys":50,"within":"5m"}}`

func TestLimitsThroughTheirLife(t *testing.T) {
	d := newLimitDesk(t)
	made := d.limit(201, "PUT", "/x", aLimit)
	if made.Version != 1 || made.Rate != 500 || made.Trial.Burst != 600 || made.Overrides["probe"].Mode != "exempt" || made.Guard.MaxNewRefusedKeys != 50 {
		t.Fatalf("got %+v, want what was put", made)
	}
	var shown, given map[string]any
	d.do("GET", "/x", "", "", &shown)
	for _, key := range []string{"version", "created", "updated", "since", "since_at"} { // the store's
		delete(shown, key)
	}
	if err := json.Unmarshal([]byte(aLimit), &given); err != nil || !reflect.DeepEqual(shown, given) {
		t.Errorf("got %v, want %v (%v)", shown, given, err)
	}
	raw := new(json.RawMessage)
	d.do("GET", "/x", "", "", raw)
	if same := d.limit(200, "PUT", "/x", string(*raw)); same.Version != 1 {
		t.Errorf("got version %d, want what GET shows to be taken back as it is", same.Version)
	}
	if l := d.limit(200, "PATCH", "/x", `{"rate":400,"guard":null}`); l.Rate != 400 || l.Burst != 1000 || l.Guard != nil || l.Version != 2 {
		t.Errorf("got %+v, want the rate changed and the guard gone", l)
	}
	if l := d.limit(200, "PATCH", "/x", `{"trial":null}`); l.Trial != nil {
		t.Errorf("got %+v, want the trial gone", l.Trial)
	}
	if l := d.limit(200, "PUT", "/x/trial", `{"rate":200,"period":"1m","burst":200}`); l.Trial.Rate != 200 || l.Rate != 400 {
		t.Errorf("got %+v, want the trial beside the value", l)
	}
	if l := d.limit(200, "POST", "/x/promote", ""); l.Rate != 200 || l.Trial != nil || l.Version != 5 {
		t.Errorf("got %+v, want the trial's value", l)
	}
	if l := d.limit(200, "POST", "/x/rollback", ""); l.Rate != 400 || l.Trial.Rate != 200 || !l.Restored {
		t.Errorf("got %+v, want the value before", l)
	}
	if l := d.limit(200, "POST", "/x/rollback", `{"version":1}`); l.Rate != 500 || l.Version != 7 {
		t.Errorf("got %+v, want the value of version 1", l)
	}
	if l := d.limit(200, "DELETE", "/x/trial", ""); l.Trial != nil {
		t.Errorf("got %+v, want no trial", l)
	}
	if got := d.do("DELETE", "/x", "", "", nil); got != 204 || d.do("GET", "/x", "", "", nil) != 404 {
		t.Errorf("got %d, want it deleted", got)
	}
	var history struct{ Items []limits.Version }
	d.do("GET", "/x/history?limit=3", "", "", &history)
	if all := history.Items; len(all) != 3 || all[0].Action != "limit.delete" || all[0].Value != nil || all[2].Version != 7 || !strings.HasPrefix(all[1].Actor, "admin:ann@127.0.0.1") {
		t.Errorf("got %+v, want the newest three changes", all)
	}
	if l := d.limit(201, "POST", "/x/rollback", ""); l.Rate != 500 {
		t.Errorf("got %+v, want it brought back", l)
	}
	var all struct{ Items []store.Limit }
	if d.do("GET", "", "", "", &all); !slices.ContainsFunc(all.Items, func(l store.Limit) bool { return l.Name == "x" }) {
		t.Errorf("got %+v, want x among them", all)
	}
}

// Keys hold what has a meaning in paths: it is percent-encoded.
// What may be stored may be put: as many overrides as there may be, with keys as long as they may be.
func TestLargestLimitIsTakenAndReadInPages(t *testing.T) {
	d := newLimitDesk(t)
	var overrides []string
	for i := range 1000 {
		overrides = append(overrides, fmt.Sprintf(`"%0399d":{"rate":9000000,"period":"23h59m59s","burst":9000000}`, i))
	}
	large := func(rate int) string {
		return fmt.Sprintf(`{"endpoint":"introspect","key":"client","rate":%d,"period":"1s","burst":1000,"mode":"enforce","overrides":{%s}}`, rate, strings.Join(overrides, ","))
	}
	d.limit(201, "PUT", "/x", large(1))
	var shown json.RawMessage
	d.do("GET", "/x", "", "", &shown)
	d.limit(200, "PUT", "/x", string(shown))
	for rate := range 11 {
		d.limit(200, "PUT", "/x", large(rate+2))
	}
	if got := d.wrong("PATCH", "/x", `{"mode":"`+strings.Repeat("x", maxBodyBytes)+`"}`); !slices.Equal(got, []string{"body"}) {
		t.Errorf("got %v, want another route to take no more than before", got)
	}
	for path, changes := range map[string]int{"/x/history?": 12, "/../audit?object=limit+x&": 12} {
		seen, pages := 0, 0
		for next := "1000000"; next != ""; pages++ {
			var raw json.RawMessage
			d.do("GET", path+"limit=50&before="+next, "", "", &raw)
			if len(raw) > maxPageBytes+1<<20 {
				t.Errorf("%s: a page of %d bytes", path, len(raw))
			}
			var page struct {
				Items []json.RawMessage
				Next  *int64
			}
			if err := json.Unmarshal(raw, &page); err != nil || len(page.Items) == 0 {
				t.Fatalf("%s: got %d items and %v", path, len(page.Items), err)
			}
			seen += len(page.Items)
			next = ""
			if page.Next != nil {
				next = strconv.FormatInt(*page.Next, 10)
			}
		}
		if seen != changes || pages < 2 {
			t.Errorf("%s: got %d changes in %d pages, want %d in several", path, seen, pages, changes)
		}
	}
}

func TestOverridesOfEveryKey(t *testing.T) {
	d := newLimitDesk(t)
	for kind, keys := range map[string]map[string]string{
		"ip":        {"192.0.2.7": "192.0.2.7", "2001:db8::/64": "2001:db8::/64", "2001:DB8::5": "2001:db8::/64"},
		"client":    {"https://app.example.com/?a=1#b": "", "100%": "", "%2F": "", "a b": "", "..": "", "a/../b": "", "é": ""},
		"client+ip": {"app@2001:db8:0:1::9": "app@2001:db8:0:1::/64", "a@b@10.0.0.1": "a@b@10.0.0.1"},
	} {
		name := "/x." + kind
		d.limit(201, "PUT", strings.ReplaceAll(name, "+", "%2B"), `{"endpoint":"introspect","key":"`+kind+`","rate":5,"period":"1s","burst":5,"mode":"shadow"}`)
		for key, canonical := range keys {
			if canonical == "" {
				canonical = key
			}
			path := strings.ReplaceAll(name, "+", "%2B") + "/overrides/" + escapeKey(key)
			if l := d.limit(200, "PUT", path, `{"mode":"block"}`); l.Overrides[canonical].Mode != "block" || len(l.Overrides) != 1 {
				t.Errorf("%s %q: got %v, want it by %q", kind, key, l.Overrides, canonical)
			}
			if l := d.limit(200, "DELETE", path, ""); len(l.Overrides) != 0 {
				t.Errorf("%s %q: got %v, want it dropped", kind, key, l.Overrides)
			}
			if got := d.do("DELETE", path, "", "", nil); got != 404 {
				t.Errorf("%s %q: got %d, want 404", kind, key, got)
			}
		}
	}
}

// escapeKey writes a key as a part of a path, like encodeURIComponent, the dots of ".." too.
func escapeKey(key string) string {
	text := url.PathEscape(key)
	if key == ".." {
		text = "%2E%2E"
	}
	return text
}

func TestFaultyLimitsAreRefusedWhole(t *testing.T) {
	d := newLimitDesk(t)
	d.limit(201, "PUT", "/x", aLimit)
	for _, c := range []struct{ method, path, body, fields string }{
		{"PUT", "/y", `{}`, "endpoint mode rate burst period"},
		{"PUT", "/x", strings.Replace(aLimit, `"rate":500`, `"rate":0`, 1), "rate"},
		{"PUT", "/x", strings.Replace(aLimit, `"rate":500`, `"rate":"many"`, 1), "rate"},
		{"PUT", "/x", strings.Replace(aLimit, `"rate":500`, `"rate":1.5`, 1), "rate"},
		{"PUT", "/x", strings.Replace(aLimit, `"rate":500`, `"rate":99999999999999999999`, 1), "rate"},
		{"PUT", "/x", strings.Replace(aLimit, `"burst":1000`, `"bust":1000`, 1), "bust"},
		{"PUT", "/other", aLimit, "name"},
		{"PATCH", "/x", `{"rate":-1,"burst":0}`, "rate burst"},
		{"PATCH", "/x", `{"period":"soon"}`, "period"},
		{"PATCH", "/x", `{"period":"1ms","trial":{"rate":1}}`, "period trial.burst trial.period"},
		{"PATCH", "/x", `{"mode":"loud"}`, "mode"},
		{"PUT", "/x/trial", `{"rate":10000001,"period":"25h","burst":1}`, "trial.rate trial.period"},
		{"PUT", "/x/overrides/a", `{"mode":"exempt","rate":5}`, "overrides.a"},
		{"PUT", "/x/overrides/a", `{}`, "overrides.a"},
		{"POST", "/x/rollback", `{"version":0}`, "version"},
		{"POST", "/x/rollback", `{"version":9}`, "version"},
		{"GET", "/x/stats?resolution=0", "", "resolution"},
		{"GET", "/x/stats?last=2h", "", "last"},
		{"GET", "/x/history?limit=0", "", "limit"},
	} {
		if got := d.wrong(c.method, c.path, c.body); strings.Join(got, " ") != c.fields {
			t.Errorf("%s %s %s: got faults of %q, want %q", c.method, c.path, c.body, got, c.fields)
		}
	}
	if l := d.limit(200, "GET", "/x", ""); l.Version != 1 {
		t.Errorf("got version %d, want nothing changed", l.Version)
	}
	for _, path := range []string{"/nobody/trial", "/nobody/overrides/a"} {
		if got := d.do("DELETE", path, "", "", nil); got != 404 {
			t.Errorf("%s: got %d, want 404", path, got)
		}
	}
}

func TestLimitOfAnotherVersionTellsWhoChangedIt(t *testing.T) {
	d := newLimitDesk(t)
	d.limit(201, "PUT", "/x", aLimit)
	d.limit(200, "PATCH", "/x", `{"rate":400,"version":1}`)
	for _, c := range []struct{ method, path, match, body string }{
		{"PUT", "/x", `"1"`, aLimit},
		{"PUT", "/x", "", strings.Replace(aLimit, "{", `{"version":1,`, 1)},
		{"PATCH", "/x", "", `{"rate":300,"version":1}`},
		{"PATCH", "/x", `"1"`, `{"rate":300}`},
		{"DELETE", "/x", `"1"`, ""},
		{"PUT", "/x/overrides/a", "", `{"mode":"block","version":1}`},
		{"PUT", "/x/trial", "", `{"rate":1,"period":"1s","burst":1,"version":1}`},
		{"POST", "/x/rollback", `"1"`, `{"version":1}`},
		{"POST", "/x/promote", `"1"`, ""},
	} {
		var p problem
		got := d.do(c.method, c.path, c.match, c.body, &p)
		if got != 409 || p.Version != 2 || !strings.HasPrefix(p.ChangedBy, "admin:ann@") || p.ChangedAt == nil {
			t.Errorf("%s %s: got %d %+v, want 409 that tells who made version 2", c.method, c.path, got, p)
		}
	}
	if got := d.do("POST", "/x/rollback", `"2"`, `{"version":1}`, nil); got != 200 {
		t.Errorf("got %d, want the current version changed", got)
	}
}

func TestLimitStatsOverHTTP(t *testing.T) {
	d := newLimitDesk(t)
	d.limit(201, "PUT", "/x", aLimit)
	minute := time.Now().Unix()/60 - 2
	told := store.LimitMinute{Replica: store.ID{7}, Minute: minute, Rules: map[string]store.RuleMinute{
		"x": {Allowed: []int64{59: 6}, Refused: []int64{59: 2}, Top: []store.KeyMinute{{Key: "billing", Allowed: 6, Refused: 2}}},
	}}
	if err := d.db.SaveLimitMinute(t.Context(), told, nil); err != nil {
		t.Fatal(err)
	}
	var s limits.Stats
	if got := d.do("GET", "/x/stats?resolution=60", "", "", &s); got != 200 || len(s.Series.Allowed) != 60 || s.Total.Allowed != 6 || s.Refused[0].Key != "billing" || s.Refused[0].Share != 1 {
		t.Errorf("got %d %+v, want what the replica counted", got, s)
	}
	if got := d.do("GET", "/nobody/stats", "", "", nil); got != 404 {
		t.Errorf("got %d, want 404", got)
	}
}

// The page of deploy shows requests that work, in its order.
func TestPageOnLimitsShowsRequestsThatWork(t *testing.T) {
	page, err := os.ReadFile("../deploy/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	d, found := newLimitDesk(t), 0
	for _, part := range regexp.MustCompile(`-X (\w+) \$ADMIN/admin/api/limits(\S*)(?: -d '([^']*)')?\n`).FindAllSubmatch(page, -1) {
		var answer json.RawMessage
		if status := d.do(string(part[1]), string(part[2]), "", string(part[3]), &answer); status != 200 {
			t.Errorf("%s: got %d %s", part[0], status, answer)
		}
		found++
	}
	if curls := strings.Count(string(page), "\ncurl "); found < 10 || found != curls {
		t.Errorf("%d of %d requests were tried", found, curls)
	}
}
