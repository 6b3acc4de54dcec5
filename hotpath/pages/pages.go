package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
)

//go:embed templates
var files embed.FS

// A Page is an answer for people.
type Page struct {
	Body   []byte // HTML, in UTF-8
	Policy string // the value of Content-Security-Policy
}

// A Set is the pages of a brand. It is safe for concurrent use.
type Set struct {
	brand  brand
	style  string // its source in a policy
	script string // of the one page that has one, likewise
	pages  map[string]*template.Template
}

// New prepares the pages of a brand. base is what stands before every path in the browser: "", or a path like /sso.
func New(b Brand, base string) (*Set, error) {
	shown, err := b.prepare()
	if err != nil {
		return nil, err
	}
	sheet, err := files.ReadFile("templates/style.css")
	if err != nil {
		return nil, fmt.Errorf("read the style: %w", err)
	}
	style := shown.variables() + string(sheet)
	s := &Set{brand: shown, style: sourceOf(style), script: sourceOf(submitScript), pages: map[string]*template.Template{}}
	layout := template.New("layout.html").Funcs(template.FuncMap{
		"path":   func(path string) string { return base + path },
		"style":  func() template.HTML { return template.HTML("<style>" + style + "</style>") },
		"script": func() template.HTML { return template.HTML("<script>" + submitScript + "</script>") },
	})
	if layout, err = layout.ParseFS(files, "templates/layout.html"); err != nil {
		return nil, fmt.Errorf("read the layout: %w", err)
	}
	for _, name := range []string{"login", "consent", "error", "message", "confirm", "profile", "formpost"} {
		if err := s.add(layout, name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Set) add(layout *template.Template, name string) error {
	page, err := layout.Clone()
	if err == nil {
		page, err = page.ParseFS(files, "templates/"+name+".html")
	}
	if err != nil {
		return fmt.Errorf("read the page %s: %w", name, err)
	}
	s.pages[name] = page
	return nil
}

// submitScript sends the form of a form_post answer. The page works without it.
const submitScript = "document.forms[0].submit()"

// sourceOf names an inline style or script in a policy (CSP Level 3 §2.3.1).
func sourceOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// render fills a page. formAction is where its forms may lead, redirects included: Chromium follows them.
func (s *Set) render(name string, data any, formAction ...string) Page {
	var b bytes.Buffer
	view := struct {
		Brand brand
		Page  any
	}{s.brand, data}
	if err := s.pages[name].Execute(&b, view); err != nil {
		panic(fmt.Sprintf("BUG: page %s: %v", name, err)) // a template is given the one type that it is for
	}
	policy := "default-src 'none'; style-src " + s.style + "; img-src data:; base-uri 'none'; frame-ancestors 'none'; form-action "
	return Page{b.Bytes(), policy + actions(formAction)}
}

func actions(all []string) string {
	var named []string
	for _, one := range all {
		if one != "" {
			named = append(named, one)
		}
	}
	if named == nil {
		return "'none'"
	}
	return strings.Join(named, " ")
}
