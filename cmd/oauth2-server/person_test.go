package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// A person sits at a browser without script, and does what pages ask: reads forms, fills them in, sends them.
type person struct {
	t                  *testing.T
	home               string // origin of the server, which is the issuer
	id, name, password string
	denies             bool     // says no to every client
	hosts              []string // beside the server's, those that the browser opens; whatever else it is sent to ends a walk
	browser            *http.Client
	last               *page
}

func newBrowser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: stayHere, Timeout: httpClient.Timeout}
}

// A page is what the browser shows.
type page struct {
	at     *url.URL
	status int
	header http.Header
	body   string
	forms  []form
}

func (p *page) String() string { return fmt.Sprintf("%d at %s\n%s", p.status, p.at, p.body) }

// A form is one of a page: what it would send as it is, and its named buttons.
type form struct {
	action  *url.URL
	method  string
	fields  url.Values
	buttons url.Values
}

// A walk ends where a client or an application elsewhere takes over, or at a page that is not for signing in or consent.
type walk struct {
	sent *url.URL // where the browser was sent; nil: nowhere
	by   string   // method of the request that would be made there
	page *page    // the last one
	seen []string // "login", "consent", as often as they were filled in
}

// signedIn reports whether the person had to sign in on the way.
func (w walk) signedIn() bool { return slices.Contains(w.seen, "login") }

// asked reports whether the person was asked to consent on the way.
func (w walk) asked() bool { return slices.Contains(w.seen, "consent") }

// walk opens an address and does what the pages ask.
func (p *person) walk(address string) walk {
	p.t.Helper()
	request, err := http.NewRequest(http.MethodGet, address, nil)
	return p.start(request, err)
}

// start is walk with any first request.
func (p *person) start(request *http.Request, err error) (w walk) {
	p.t.Helper()
	for range 12 {
		if err != nil {
			p.t.Fatal(err)
		}
		if w.sent = p.open(request); w.sent != nil {
			w.by = http.MethodGet
			return w
		}
		w.page = p.last
		f, what := p.fill(w.page)
		if f == nil {
			return w
		}
		if !p.knows(f.action) { // response_mode=form_post
			w.sent, w.by = f.action, http.MethodPost
			w.sent.RawQuery = f.fields.Encode()
			return w
		}
		w.seen = append(w.seen, what)
		request, err = p.form(f)
	}
	p.t.Fatalf("the pages lead round in circles; the last: %s", w.page)
	return w
}

// open makes a request and follows redirects, until there is a page or a place that the browser does not go to.
func (p *person) open(request *http.Request) (sent *url.URL) {
	p.t.Helper()
	for range 10 {
		response, err := p.browser.Do(request)
		if err != nil {
			p.t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			p.t.Fatal(err)
		}
		location, err := response.Location()
		if err != nil {
			p.last = readPage(p.t, response, string(body))
			return nil
		}
		if request.Method == http.MethodPost && response.StatusCode != http.StatusSeeOther && p.isHome(request.URL) {
			p.t.Errorf("POST %s is answered with %d, want 303 (RFC 9700 §4.12)", request.URL.Path, response.StatusCode)
		}
		if !p.knows(location) {
			return location
		}
		if request, err = http.NewRequest(http.MethodGet, location.String(), nil); err != nil {
			p.t.Fatal(err)
		}
	}
	p.t.Fatalf("too many redirects, the last to %s", request.URL)
	return nil
}

func (p *person) isHome(u *url.URL) bool { return u.Scheme+"://"+u.Host == p.home }

func (p *person) knows(u *url.URL) bool { return p.isHome(u) || slices.Contains(p.hosts, u.Host) }

// fill fills in the form that has to be sent to get on; nil: there is none.
func (p *person) fill(shown *page) (f *form, what string) {
	for i := range shown.forms {
		f := &shown.forms[i]
		decision := "allow"
		if p.denies {
			decision = "deny"
		}
		switch {
		case strings.HasSuffix(f.action.Path, "/auth/login") && f.fields.Has("password"):
			if shown.status != http.StatusOK {
				return nil, "" // what was typed is wrong: nobody types it again
			}
			f.fields.Set("username", p.name)
			f.fields.Set("password", p.password)
			return f, "login"
		case slices.Contains(f.buttons["decision"], decision):
			f.fields.Set("decision", decision)
			return f, "consent"
		case !p.knows(f.action):
			return f, "form_post"
		}
	}
	return nil, ""
}

// form is the request that a browser makes of a form.
func (p *person) form(f *form) (*http.Request, error) {
	request, err := http.NewRequest(f.method, f.action.String(), strings.NewReader(f.fields.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", f.action.Scheme+"://"+f.action.Host)
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	return request, nil
}

// press sends the form of the last page with that action.
func (p *person) press(path string) walk {
	p.t.Helper()
	for i := range p.last.forms {
		if f := &p.last.forms[i]; f.action.Path == path {
			return p.start(p.form(f))
		}
	}
	p.t.Fatalf("no form of %s on %s", path, p.last)
	return walk{}
}

// readPage finds the forms of a page, as the standard library's reader of XML finds them in lenient HTML.
func readPage(t *testing.T, response *http.Response, body string) *page {
	t.Helper()
	p := &page{at: response.Request.URL, status: response.StatusCode, header: response.Header, body: body}
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
		return p
	}
	reader := xml.NewDecoder(strings.NewReader(body))
	reader.Strict, reader.AutoClose, reader.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := reader.Token()
		if errors.Is(err, io.EOF) {
			return p
		}
		if err != nil {
			t.Fatalf("read %s: %v\n%s", p.at, err, body)
		}
		if start, ok := token.(xml.StartElement); ok {
			p.read(t, start)
		}
	}
}

func (p *page) read(t *testing.T, start xml.StartElement) {
	attributes := map[string]string{}
	for _, a := range start.Attr {
		attributes[a.Name.Local] = a.Value
	}
	name := attributes["name"]
	switch start.Name.Local {
	case "form":
		action, err := p.at.Parse(attributes["action"])
		if err != nil {
			t.Fatal(err)
		}
		p.forms = append(p.forms, form{action, strings.ToUpper(attributes["method"]), url.Values{}, url.Values{}})
	case "input":
		if len(p.forms) > 0 && name != "" {
			p.forms[len(p.forms)-1].fields.Add(name, attributes["value"])
		}
	case "button":
		if len(p.forms) > 0 && name != "" {
			p.forms[len(p.forms)-1].buttons.Add(name, attributes["value"])
		}
	}
}
