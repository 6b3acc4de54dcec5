package pages

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const markup = `"><script>alert(1)</script><img src=x onerror=alert(2)>'{{.}}&amp;`

func testSet(t testing.TB, b Brand) *Set {
	t.Helper()
	s, err := New(b, "/sso")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// every is each page, filled with the text wherever somebody else has a say.
func every(s *Set, text string) map[string]Page {
	scopes, now := Scopes("openid profile email offline_access "+strings.ReplaceAll(text, " ", "")), time.Unix(1_800_000_000, 0).UTC()
	uri := "https://app.example.com/cb?x=" + text
	return map[string]Page{
		"login":   s.Login(Login{Client: text, Username: text, Request: text, Problem: text, Redirect: uri}),
		"bare":    s.Login(Login{}),
		"consent": s.Consent(Consent{Client: text, Username: text, Scopes: scopes, Redirect: uri, Request: text}),
		"error":   s.Error(Error{Title: text, Text: text, Code: text}),
		"left":    s.SignedOut(),
		"logout":  s.ConfirmLogout("/oauth/logout", uri, Field{"state", text}),
		"profile": s.Profile(Profile{
			Username: text, Email: text, Since: now, Done: text, Problem: text, More: true,
			Applications: []Application{{ID: text, Name: text, Scopes: scopes, Since: now, Used: now}, {ID: "b", Name: "B", Since: now}},
		}),
		"empty":    s.Profile(Profile{Username: text, Since: now}),
		"formpost": s.FormPost(FormPost{Action: uri, Fields: []Field{{"code", text}, {"state", text}}}),
	}
}

// void elements have no end tag in HTML; they get one here, so that a parser of XML can tell that all else is balanced.
var void = regexp.MustCompile(`<(meta|input|img|br)((?:[^>"]|"[^"]*")*)>`)

var bare = regexp.MustCompile(` (required|autofocus|readonly|hidden)\b`)

func elements(t *testing.T, name string, page Page) (found []xml.StartElement) {
	t.Helper()
	text := strings.TrimPrefix(string(page.Body), "<!doctype html>")
	text = bare.ReplaceAllString(void.ReplaceAllString(text, "<$1$2/>"), ` $1=""`)
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatalf("%s is not well-formed: %v\n%s", name, err, text)
		}
		if start, ok := token.(xml.StartElement); ok {
			found = append(found, start)
		}
	}
}

func attribute(e xml.StartElement, name string) (string, bool) {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

// What others may choose — names, hints, state, scopes — is text, wherever it stands (CVE-2019-8400).
func TestTextIsNeverMarkup(t *testing.T) {
	for name, page := range every(testSet(t, Brand{Name: markup}), markup) {
		scripts := 0
		for _, e := range elements(t, name, page) {
			switch e.Name.Local {
			case "script":
				scripts++
			case "img":
				t.Errorf("%s: an image came in", name)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "style" {
					t.Errorf("%s: an attribute %s came in", name, a.Name.Local)
				}
			}
		}
		if name != "formpost" && scripts != 0 || scripts > 1 {
			t.Errorf("%s: %d scripts", name, scripts)
		}
	}
}

// Usable by keyboard and by a screen reader (WCAG 2.2 §1.3.1, §2.4.2, §3.1.1, §3.3.2, §4.1.2).
func TestPagesAreAccessible(t *testing.T) {
	for name, page := range every(testSet(t, Brand{}), "Ä text") {
		labels, ids, count := map[string]bool{}, map[string]bool{}, map[string]int{}
		all := elements(t, name, page)
		for _, e := range all {
			count[e.Name.Local]++
			if id, ok := attribute(e, "id"); ok {
				if ids[id] {
					t.Errorf("%s: id %q is there twice", name, id)
				}
				ids[id] = true
			}
			if id, ok := attribute(e, "for"); ok {
				labels[id] = true
			}
			if _, ok := attribute(e, "autofocus"); ok {
				count["autofocus"]++
			}
		}
		for _, e := range all {
			kind, _ := attribute(e, "type")
			id, _ := attribute(e, "id")
			if _, unseen := attribute(e, "hidden"); e.Name.Local == "input" && kind != "hidden" && !unseen && !labels[id] {
				t.Errorf("%s: input %q has no label", name, id)
			}
			if lang, _ := attribute(e, "lang"); e.Name.Local == "html" && lang != "en" {
				t.Errorf("%s: no language", name)
			}
			for _, reference := range []string{"aria-labelledby", "aria-describedby"} {
				if id, ok := attribute(e, reference); ok && !ids[id] {
					t.Errorf("%s: %s leads to %q, which is not there", name, reference, id)
				}
			}
			if path, ok := attribute(e, "action"); ok && name != "formpost" && !strings.HasPrefix(path, "/sso/") {
				t.Errorf("%s: a form leads to %q, past the proxy's path", name, path)
			}
		}
		if count["main"] != 1 || count["h1"] != 1 || count["title"] != 1 || count["autofocus"] > 1 {
			t.Errorf("%s: %v", name, count)
		}
		if strings.Contains(string(page.Body), "http-equiv") || strings.Contains(string(page.Body), "ZgotmplZ") {
			t.Errorf("%s: %s", name, page.Body)
		}
	}
}

// CSP: nothing is loaded, framed or run but what is named; forms lead here, and to where the answer goes.
func TestPolicies(t *testing.T) {
	for name, page := range every(testSet(t, Brand{}), "text") {
		for _, part := range []string{"default-src 'none'; style-src 'sha256-", "img-src data:", "base-uri 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(page.Policy, part) {
				t.Errorf("%s: no %s in %s", name, part, page.Policy)
			}
		}
		want := map[string]string{
			"login": "'self' https:", "consent": "'self' https:", "logout": "'self' https:", "formpost": "https:", "error": "'none'", "left": "'none'",
		}[name]
		if want == "" {
			want = "'self'"
		}
		if _, got, _ := strings.Cut(page.Policy, "form-action "); strings.Split(got, ";")[0] != want {
			t.Errorf("%s: form-action %s, want %s", name, got, want)
		}
		if strings.Contains(page.Policy, "script-src") != (name == "formpost") || strings.Contains(page.Policy, "unsafe") {
			t.Errorf("%s: %s", name, page.Policy)
		}
		for _, tag := range []string{"style", "script"} {
			if _, text, found := strings.Cut(string(page.Body), "<"+tag+">"); found {
				text, _, _ = strings.Cut(text, "</"+tag+">")
				if !strings.Contains(page.Policy, sourceOf(text)) {
					t.Errorf("%s: the policy refuses its own %s", name, tag)
				}
			}
		}
	}
}

func TestSourceOfARedirectURI(t *testing.T) {
	f := func(uri, want string) {
		t.Helper()
		if got := source(uri); got != want {
			t.Errorf("%q: got %q, want %q", uri, got, want)
		}
	}
	f("", "")
	f("https://app.example.com/cb?a=b", "https://app.example.com")
	f("https://app.example.com:8443/cb", "https://app.example.com:8443")
	f("http://127.0.0.1:4711/", "http://127.0.0.1:4711")
	f("http://[::1]:4711/", "http:") // the grammar of policies knows no IPv6
	f("com.example.app:/cb", "com.example.app:")
	f("https://a;script-src b/", "")
	f("https://a,b/", "")
	f("://", "")

	g := func(uri, want string) {
		t.Helper()
		if got := beyond(uri); got != want {
			t.Errorf("%q: got %q, want %q", uri, got, want)
		}
	}
	g("", "")
	g("https://app.example.com/cb", "https:") // and on to wherever the client sends its user
	g("http://127.0.0.1:4711/", "https: http://127.0.0.1:4711")
	g("com.example.app:/cb", "https: com.example.app:")
	g("https://a;script-src b/", "https:")
}

func TestBrand(t *testing.T) {
	png := append([]byte("\x89PNG\r\n\x1a\n"), 1, 2, 3)
	page := testSet(t, Brand{Name: "Acme & Co", Logo: png, Color: "#102030"}).Login(Login{})
	for _, part := range []string{"Acme &amp; Co", `src="data:image/png;base64,`, "--button:#102030;--on-button:#ffffff"} {
		if !strings.Contains(string(page.Body), part) {
			t.Errorf("no %s", part)
		}
	}
	f := func(b Brand) {
		t.Helper()
		if b.Validate() == nil {
			t.Errorf("%.40v is a brand", b)
		}
	}
	f(Brand{Color: "red"})
	f(Brand{Color: "#12345g"})
	f(Brand{Color: "#fff}body{display:none"})
	f(Brand{Logo: []byte("GIF89a")})
	f(Brand{Logo: append(png, make([]byte, MaxLogo)...)})
	if err := (Brand{Logo: []byte("\ufeff <?xml version=\"1.0\"?><svg/>")}).Validate(); err != nil {
		t.Error(err)
	}
}

// Whatever colour an operator chooses can be read, on both backgrounds and on buttons (WCAG 2.2 §1.4.3).
func TestEveryColorIsReadable(t *testing.T) {
	for r := 0; r < 256; r += 15 {
		for g := 0; g < 256; g += 15 {
			for b := 0; b < 256; b += 15 {
				c := color{byte(r), byte(g), byte(b)}
				for _, pair := range [][2]color{{c.ink(), c}, {c.against(pageLight), pageLight}, {c.against(pageDark), pageDark}} {
					if got := contrast(pair[0], pair[1]); got < readable {
						t.Fatalf("%s: %s on %s has a contrast of %.2f", c, pair[0], pair[1], got)
					}
				}
			}
		}
	}
	if got := contrast(white, black); got != 21 {
		t.Errorf("got %v", got)
	}
}

func TestScopesInWords(t *testing.T) {
	want := []Scope{{Text: "Know who you are"}, {Text: "Go on when you are away"}, {Text: "Use", Name: "z"}, {Text: "Use", Name: "a:b"}}
	if got := Scopes("z offline_access a:b openid"); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestProfileSaysWhenItWasUsed(t *testing.T) {
	now := time.Unix(1_800_000_000, 0).UTC()
	s := testSet(t, Brand{})
	f := func(used time.Time, want bool) {
		t.Helper()
		page := string(s.Profile(Profile{Applications: []Application{{ID: "a", Name: "A", Since: now, Used: used}}}).Body)
		if strings.Contains(page, "last used") != want || !strings.Contains(page, "Since 15 January 2027") {
			t.Errorf("used at %v: got\n%s", used, page)
		}
	}
	f(now, true)
	f(time.Time{}, false) // not yet
}

// Who is asked sees where it is used and where it goes on before the buttons.
func TestConsentSaysWhere(t *testing.T) {
	page := string(testSet(t, Brand{}).Consent(Consent{Client: "Shop", Redirect: "https://app.example.com/cb", Resources: []string{"files", "https://api.example.com"}}).Body)
	before, after, _ := strings.Cut(page, "<form")
	for _, part := range []string{"<code>files</code>, <code>https://api.example.com</code>", "app.example.com"} {
		if !strings.Contains(before, part) {
			t.Errorf("no %q before the buttons\n%s", part, page)
		}
	}
	if !strings.Contains(after, `<button class="main" name="decision" value="allow">`) || !strings.Contains(after, `<button name="decision" value="deny">`) {
		t.Errorf("got %s", after)
	}
}
