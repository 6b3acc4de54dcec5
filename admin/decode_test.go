package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

// sample is an In with one of everything that a route may ask for.
type sample struct {
	Name  string   `path:"name"`
	Limit int      `query:"limit" default:"50" min:"1" max:"100"`
	Find  string   `query:"find"`
	Key   store.ID `query:"key"`

	store.Quota
	Mode      string                    `json:"mode" enum:"off,shadow"`
	Must      string                    `json:"must" required:"true"`
	On        *bool                     `json:"on"`
	Trial     *store.Quota              `json:"trial"`
	Overrides map[string]store.Override `json:"overrides"`
	Words     []string                  `json:"words"`
	When      time.Time                 `json:"when"`
	Guard     patch[store.Guard]        `json:"guard"`
	Version   int64                     `json:"version"`
}

// read reads a request as the wrapper does.
func readSample(query, body string, header ...string) (*sample, int64, error) {
	f := newForm("/x/{name}", reflect.TypeFor[sample]())
	r := httptest.NewRequest(http.MethodPut, "/x/n?"+query, strings.NewReader(body))
	r.SetPathValue("name", "n")
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Content-Type" {
			r.Header.Del(header[i])
		}
		r.Header.Add(header[i], header[i+1])
	}
	in, c := new(sample), new(call)
	err := f.read(r, reflect.ValueOf(in).Elem(), c)
	return in, c.Match, err
}

func TestReadFillsEveryKindOfField(t *testing.T) {
	in, match, err := readSample("limit=7&find=a%20b", `{"rate":5,"period":"15m","burst":6,"mode":"shadow","must":"m","on":false,
		"trial":{"rate":1,"period":"1s","burst":2},"overrides":{"a":{"mode":"exempt"},"b":{"rate":9,"period":"1s","burst":9}},
		"words":["x","y"],"when":"2026-01-02T03:04:05Z","guard":{"max_new_refused_keys":3,"within":"5m"},"version":8}`)
	if err != nil {
		t.Fatal(err)
	}
	no := false
	want := &sample{
		Name: "n", Limit: 7, Find: "a b", Quota: store.Quota{Rate: 5, Period: store.Period(15 * time.Minute), Burst: 6},
		Mode: "shadow", Must: "m", On: &no, Trial: &store.Quota{Rate: 1, Period: store.Period(time.Second), Burst: 2},
		Overrides: map[string]store.Override{"a": {Mode: "exempt"}, "b": {Quota: &store.Quota{Rate: 9, Period: store.Period(time.Second), Burst: 9}}},
		Words:     []string{"x", "y"}, When: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Version: 8,
		Guard: patch[store.Guard]{Given: true, Value: &store.Guard{MaxNewRefusedKeys: 3, Within: store.Period(5 * time.Minute)}},
	}
	if !reflect.DeepEqual(in, want) {
		t.Errorf("got  %+v\nwant %+v", in, want)
	}
	if match != 8 {
		t.Errorf("the body's version counts as If-Match: got %d, want 8", match)
	}
}

func TestReadTakesDefaultsAndWhatIsLeftOut(t *testing.T) {
	in, match, err := readSample("", `{"must":"m","guard":null}`)
	if err != nil {
		t.Fatal(err)
	}
	if in.Limit != 50 || in.On != nil || in.Trial != nil || match != 0 || !in.Guard.Given || in.Guard.Value != nil {
		t.Errorf("got %+v, match %d", in, match)
	}
}

func TestIfMatchIsOneVersion(t *testing.T) {
	for header, want := range map[string]int64{`"7"`: 7, `W/"7"`: 7, `*`: 0} {
		if _, match, err := readSample("", `{"must":"m"}`, "If-Match", header); err != nil || match != want {
			t.Errorf("If-Match %s: got %d, %v, want %d", header, match, err, want)
		}
	}
	for _, header := range []string{
		"", `"x"`, `"0"`, `"-1"`, `"1", "2"`, `7`, `"7`, `7"`, `""7""`, `+7`, `"+7"`, `"07"`, `W/7`, `w/"7"`, `W/W/"7"`, `W/*`, `"*"`, `"7" `, `"9223372036854775808"`,
	} {
		if _, _, err := readSample("", `{"must":"m"}`, "If-Match", header); !names(err, "If-Match") {
			t.Errorf("If-Match %s: got %v, want a fault that names it", header, err)
		}
	}
	if _, _, err := readSample("", `{"must":"m"}`, "If-Match", `"7"`, "If-Match", `"8"`); !names(err, "If-Match") {
		t.Errorf("two lines: got %v, want a fault that names If-Match", err)
	}
}

// TestTheBodysVersionIsAnIfMatch: it counts from 1, and contradicts no other.
func TestTheBodysVersionIsAnIfMatch(t *testing.T) {
	for _, header := range []string{`"8"`, `W/"8"`, `*`} {
		if _, match, err := readSample("", `{"must":"m","version":8}`, "If-Match", header); err != nil || match != 8 {
			t.Errorf("If-Match %s: got %d, %v, want 8", header, match, err)
		}
	}
	for _, version := range []string{"-5", "-1", "0", "-9223372036854775808", "9223372036854775808"} {
		if _, _, err := readSample("", `{"must":"m","version":`+version+`}`); !names(err, "version") {
			t.Errorf("version %s: got %v, want a fault that names it", version, err)
		}
	}
	if _, _, err := readSample("", `{"must":"m","version":8}`, "If-Match", `"7"`); !names(err, "version") {
		t.Errorf("two that differ: got %v, want a fault that names version", err)
	}
}

// names reports whether err names exactly these fields.
func names(err error, fields ...string) bool {
	var got []string
	for _, p := range store.FieldErrors(err) {
		got = append(got, p.Field)
	}
	slices.Sort(got)
	slices.Sort(fields)
	return slices.Equal(got, fields)
}

func TestReadNamesWhatIsWrong(t *testing.T) {
	const must = `"must":"m"`
	deep := strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1)
	for _, c := range []struct {
		name, query, body string
		want              []string
	}{
		{"unknown member", "", `{` + must + `,"nope":1}`, []string{"nope"}},
		{"unknown nested member", "", `{` + must + `,"trial":{"rat":1}}`, []string{"trial.rat"}},
		{"another case is another name", "", `{` + must + `,"Rate":1}`, []string{"Rate"}},
		{"twice", "", `{` + must + `,"rate":1,"rate":2}`, []string{"rate"}},
		{"twice, spelt otherwise", "", `{` + must + `,"rate":1,"\u0072ate":2}`, []string{"rate"}},
		{"twice in another", "", `{` + must + `,"trial":{"rate":1,"rate":1}}`, []string{"trial.rate"}},
		{"a string for a number", "", `{` + must + `,"trial":{"rate":"1"}}`, []string{"trial.rate"}},
		{"a number for a string", "", `{` + must + `,"mode":1}`, []string{"mode"}},
		{"a fraction", "", `{` + must + `,"rate":1.5}`, []string{"rate"}},
		{"too large", "", `{` + must + `,"rate":9223372036854775808}`, []string{"rate"}},
		{"exponent", "", `{` + must + `,"rate":1e3}`, []string{"rate"}},
		{"null", "", `{` + must + `,"rate":null}`, []string{"rate"}},
		{"null for a pointer", "", `{` + must + `,"trial":null}`, []string{"trial"}},
		{"an object for a list", "", `{` + must + `,"words":{}}`, []string{"words"}},
		{"in a list", "", `{` + must + `,"words":["a",2]}`, []string{"words[1]"}},
		{"in a map", "", `{` + must + `,"overrides":{"k":{"rate":true}}}`, []string{"overrides.k.rate"}},
		{"in a patch", "", `{` + must + `,"guard":{"within":"soon"}}`, []string{"guard.within"}},
		{"no duration", "", `{` + must + `,"period":"1 s"}`, []string{"period"}},
		{"a number for a duration", "", `{` + must + `,"period":1000}`, []string{"period"}},
		{"no time", "", `{` + must + `,"when":"today"}`, []string{"when"}},
		{"none of an enum", "", `{` + must + `,"mode":"on"}`, []string{"mode"}},
		{"missing", "", `{}`, []string{"must"}},
		{"no body", "", ``, []string{"must"}},
		{"all at once", "limit=0&x=1", `{"rate":"a","mode":7,"nope":[]}`, []string{"limit", "x", "rate", "mode", "nope", "must"}},
		{"trailing data", "", `{` + must + `} {}`, []string{"body"}},
		{"no JSON", "", `{` + must, []string{"body"}},
		{"comment", "", `{` + must + `/**/}`, []string{"body"}},
		{"no UTF-8", "", "{\"must\":\"\xff\"}", []string{"body"}},
		{"a list", "", `[]`, []string{"body"}},
		{"null alone", "", `null`, []string{"body"}},
		{"deep", "", deep, []string{strings.TrimSuffix(strings.Repeat("a.", maxDepth), ".")}},
		{"oversized", "", `{` + must + `,"mode":"` + strings.Repeat("x", maxBodyBytes) + `"}`, []string{"body"}},
		{"query unknown", "nope=1", `{` + must + `}`, []string{"nope"}},
		{"query twice", "limit=1&limit=1", `{` + must + `}`, []string{"limit"}},
		{"query of another type", "limit=x&key=y", `{` + must + `}`, []string{"limit", "key"}},
		{"query out of bounds", "limit=101", `{` + must + `}`, []string{"limit"}},
		{"query with a semicolon", "limit=1;find=a", `{` + must + `}`, []string{"query"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := readSample(c.query, c.body)
			if !names(err, c.want...) {
				t.Errorf("got %v, want faults that name %v", err, c.want)
			}
			if p, _ := problemOf(err); p.Status != http.StatusBadRequest || len(p.Errors) != len(c.want) {
				t.Errorf("got problem %+v, want 400 with %d fields", p, len(c.want))
			}
		})
	}
}

func TestReadTakesNothingButJSON(t *testing.T) {
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/jsonx"} {
		_, _, err := readSample("", `{"must":"m"}`, "Content-Type", kind)
		if p, ok := errors.AsType[*problem](err); !ok || p.Status != http.StatusUnsupportedMediaType {
			t.Errorf("Content-Type %q: got %v, want 415", kind, err)
		}
	}
	for _, kind := range []string{"application/json", "Application/JSON; charset=UTF-8"} {
		if _, _, err := readSample("", `{"must":"m"}`, "Content-Type", kind); err != nil {
			t.Errorf("Content-Type %q: got %v, want none", kind, err)
		}
	}
}

func TestReadRefusesABodyThatNothingReads(t *testing.T) {
	f := newForm("/x", reflect.TypeFor[struct{}]())
	r := httptest.NewRequest(http.MethodDelete, "/x", strings.NewReader("{}"))
	if err := f.read(r, reflect.ValueOf(new(struct{})).Elem(), new(call)); !names(err, "body") {
		t.Errorf("got %v, want a fault that names the body", err)
	}
}

// TestFaultsRepeatNoSecret: what was sent may be a secret in the wrong place.
func TestFaultsRepeatNoSecret(t *testing.T) {
	const secret = "hunter2hunter2"
	for _, body := range []string{
		`{"must":{"a":"` + secret + `"}}`, `{"must":"m","period":"` + secret + `"}`, `{"must":"m","mode":"` + secret + `"}`, `{"must":"m"}` + secret,
		`{"must":"m","when":"` + secret + `"}`, secret,
	} {
		if _, _, err := readSample("", body); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v, want an error without what was sent", body, err)
		}
	}
}

// FuzzRead: whatever arrives is read or refused with fields to name; what is read is what encoding/json reads.
func FuzzRead(f *testing.F) {
	for _, body := range []string{`{"must":"m","rate":1}`, `{"must":"m","overrides":{"a":{"mode":"block"}}}`, `[[[`, `{"a":1,"a":2}`, "{\"must\":\"\u2028\"}", `{"must":"\ud800"}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		in, _, err := readSample("", body)
		if err != nil {
			if p, known := problemOf(err); !known || p.Status != http.StatusBadRequest && p.Status != http.StatusUnsupportedMediaType {
				t.Fatalf("got %v, want a refusal", err)
			}
			return
		}
		var oracle struct {
			store.Quota
			Must      string
			Words     []string
			Overrides map[string]store.Override
		}
		if err := json.Unmarshal([]byte(body), &oracle); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", body, err)
		}
		if in.Quota != oracle.Quota || in.Must != oracle.Must || !slices.Equal(in.Words, oracle.Words) || len(in.Overrides) != len(oracle.Overrides) {
			t.Fatalf("%q: got %+v, want %+v", body, in, oracle)
		}
	})
}
