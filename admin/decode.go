package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"oauth2-server/store"
)

const (
	maxBodyBytes = 64 << 10
	maxDepth     = 16 // of objects and lists in each other
)

// A form is how a request becomes an In: which part of it fills which field.
type form struct {
	path, query, body []field
	most              int // bytes of the body; 0: maxBodyBytes
}

// newForm reads the tags of t, which is the In of a route with this path.
func newForm(path string, t reflect.Type) *form {
	f := &form{path: tagged(t, "path"), query: tagged(t, "query"), body: bodyFields(t)}
	for i := range f.body {
		if b := &f.body[i]; b.isVersion() {
			b.tag += ` min:"1"` // the store counts from 1
		}
	}
	for _, p := range f.path {
		if !strings.Contains(path, "{"+p.name+"}") {
			panic(fmt.Sprintf("BUG: %v has a field for %q, which is not in %s", t, p.name, path))
		}
	}
	if len(f.path) != strings.Count(path, "{") {
		panic(fmt.Sprintf("BUG: %v has not a field for each part of %s", t, path))
	}
	return f
}

// A reader gathers what is wrong with a request: all of it at once.
type reader struct{ faults []error }

func (d *reader) refuse(path, format string, args ...any) {
	d.faults = append(d.faults, &store.FieldError{Field: path, Problem: fmt.Sprintf(format, args...)})
}

// check adds what the tags of the field have against its value.
func (d *reader) check(f *field, path string, v reflect.Value) {
	if err := f.check(path, v); err != nil {
		d.faults = append(d.faults, err)
	}
}

// read fills v, an In, and what c demands of the thing from the request.
func (f *form) read(r *http.Request, v reflect.Value, c *call) error {
	d := new(reader)
	for i := range f.path {
		p := &f.path[i]
		d.text(p.name, p.in(v), r.PathValue(p.name))
	}
	f.readQuery(d, r.URL.RawQuery, v)
	d.readMatch(r.Header.Values("If-Match"), c)
	if err := f.readBody(d, r, v); err != nil {
		return err
	}
	switch seen := f.version(v); {
	case c.Match == 0:
		c.Match = seen
	case seen != 0 && seen != c.Match:
		d.refuse("version", "is another one than that of If-Match")
	}
	return errors.Join(d.faults...)
}

// readMatch reads an If-Match (RFC 9110 §13.1.1): one entity tag of ours, or * for any.
func (d *reader) readMatch(lines []string, c *call) {
	switch {
	case len(lines) == 0:
		return
	case len(lines) == 1 && lines[0] == "*":
		c.Exists = true
		return
	case len(lines) == 1:
		tag := strings.TrimPrefix(lines[0], "W/")
		if n, err := strconv.ParseInt(strings.Trim(tag, `"`), 10, 64); err == nil && n > 0 && tag == entityTag(n) {
			c.Match = n
			return
		}
	}
	d.refuse("If-Match", `must be one version, like "7", or *`)
}

// entityTag is the ETag of a version.
func entityTag(version int64) string { return strconv.Quote(strconv.FormatInt(version, 10)) }

// isVersion reports whether the field of a body is the version that is to be changed.
func (f *field) isVersion() bool { return f.name == "version" && f.t.Kind() == reflect.Int64 }

// version is the one that the body says it has seen, 0 where it says none.
func (f *form) version(v reflect.Value) int64 {
	for i := range f.body {
		if b := &f.body[i]; b.isVersion() {
			return b.in(v).Int()
		}
	}
	return 0
}

func (f *form) readQuery(d *reader, raw string, v reflect.Value) {
	given, err := url.ParseQuery(raw)
	if err != nil {
		d.refuse("query", "is not encoded as name=value&name=value")
		return
	}
	for _, name := range sortedKeys(given) {
		if !slices.ContainsFunc(f.query, func(q field) bool { return q.name == name }) {
			d.refuse(name, "is not known%s", known(f.query))
		}
	}
	for i := range f.query {
		q := &f.query[i]
		values := given[q.name]
		if len(values) == 0 && q.tag.Get("default") != "" {
			values = []string{q.tag.Get("default")}
		}
		switch {
		case len(values) == 0:
			if q.required() {
				d.refuse(q.name, "is missing")
			}
		case q.t.Kind() == reflect.Slice:
			d.texts(q, q.in(v), values)
		case len(values) == 1:
			d.queried(q, q.in(v), values[0])
		default:
			d.refuse(q.name, "is given more than once")
		}
	}
}

func (d *reader) queried(q *field, v reflect.Value, text string) {
	if d.text(q.name, v, text) {
		d.check(q, q.name, v)
	}
}

// texts fills a list with what is given as often as is liked. Its tags are about each.
func (d *reader) texts(q *field, v reflect.Value, values []string) {
	v.Set(reflect.MakeSlice(q.t, len(values), len(values)))
	for i, text := range values {
		d.queried(q, v.Index(i), text)
	}
}

// known lists the names there are, for who mistyped one.
func known(fields []field) string {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	if len(names) == 0 {
		return ": there are none"
	}
	return ": there are " + strings.Join(names, ", ")
}

// readBody reads the JSON of a route that takes any. No body is the same as {}.
func (f *form) readBody(d *reader, r *http.Request, v reflect.Value) error {
	most := cmp.Or(f.most, maxBodyBytes)
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(most)+1))
	switch {
	case err != nil:
		return refuse(http.StatusBadRequest, "the body did not arrive whole")
	case len(body) > most:
		d.refuse("body", "has more than %d bytes", most)
		return nil
	case len(body) > 0 && len(f.body) == 0:
		d.refuse("body", "must be empty")
		return nil
	case len(body) > 0 && !isJSON(r):
		return refuse(http.StatusUnsupportedMediaType, "the body must be JSON, with the header Content-Type: application/json")
	}
	members := map[string]any{}
	if len(body) > 0 {
		parsed, ok := d.parse(body)
		if !ok {
			return nil
		}
		if members, ok = parsed.(map[string]any); !ok {
			d.refuse("body", "must be an object")
			return nil
		}
	}
	d.object("", f.body, v, members)
	return nil
}

// isJSON reports whether the body says that it is JSON, in UTF-8 as all JSON is (RFC 8259 §8.1).
func isJSON(r *http.Request) bool {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, given := parameters["charset"]
	return err == nil && kind == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

// parse makes values of JSON text: map[string]any, []any, string, json.Number, bool and nil.
func (d *reader) parse(text []byte) (any, bool) {
	var whole json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil {
		at := ""
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = fmt.Sprintf(": byte %d", syntax.Offset)
		}
		d.refuse("body", "is no JSON%s", at) // without the text of the error: it repeats what was sent
		return nil, false
	}
	if !utf8.Valid(text) {
		d.refuse("body", "is not UTF-8")
		return nil, false
	}
	p := parser{reader: d, tokens: json.NewDecoder(bytes.NewReader(text))}
	p.tokens.UseNumber()
	before := len(d.faults)
	v := p.value("", 0)
	return v, len(d.faults) == before
}

// parser goes through the tokens of text that is known to be JSON, for what encoding/json lets pass.
type parser struct {
	*reader
	tokens *json.Decoder
	deep   bool
}

// next is the next token. There is one: the text was checked.
func (p *parser) next() json.Token {
	token, err := p.tokens.Token()
	if err != nil {
		panic("BUG: JSON that was checked: " + err.Error())
	}
	return token
}

func (p *parser) value(path string, depth int) any {
	token := p.next()
	switch token {
	case json.Delim('{'), json.Delim('['):
	default:
		return token
	}
	if depth == maxDepth && !p.deep {
		p.deep = true
		p.refuse(cmpPath(path), "is nested deeper than %d", maxDepth)
	}
	if token == json.Delim('[') {
		list := []any{}
		for p.tokens.More() {
			list = append(list, p.value(element(path, len(list)), depth+1))
		}
		p.next()
		return list
	}
	object := map[string]any{}
	for p.tokens.More() {
		name, _ := p.next().(string)
		if _, twice := object[name]; twice {
			p.refuse(member(path, name), "is given more than once")
		}
		object[name] = p.value(member(path, name), depth+1)
	}
	p.next()
	return object
}

// maxPathBytes bounds how much of what was sent a path repeats.
const maxPathBytes = 200

func member(path, name string) string {
	if len(path) > maxPathBytes {
		return path
	}
	name = fmt.Sprintf("%.80s", name)
	if path == "" {
		return name
	}
	return path + "." + name
}

func element(path string, i int) string {
	if len(path) > maxPathBytes {
		return path
	}
	return fmt.Sprintf("%s[%d]", path, i)
}

// cmpPath names the whole body where there is no member to name.
func cmpPath(path string) string {
	if path == "" {
		return "body"
	}
	return path
}
