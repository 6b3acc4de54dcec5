package admin

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// style is of the few pages that are here. It is named by its hash in the policy: nothing else is applied.
const style = `body{font:1rem/1.5 system-ui,sans-serif;max-width:24rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
label,input,button{display:block;width:100%;box-sizing:border-box;font:inherit}
label{margin-top:1rem}input,button{padding:.6rem;border:1px solid #767676;border-radius:.3rem}
button{margin-top:1.5rem;background:#0b57d0;color:#fff;border-color:#0b57d0}.problem{color:#b3261e}`

const layout = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{template "title" .}} - oauth2-server</title><style>` + style + `</style></head>
<body><main><h1>{{template "title" .}}</h1>
{{template "body" .}}
</main></body></html>
`

func newPage(title, body string) *template.Template {
	t := template.Must(template.New("page").Parse(layout))
	template.Must(t.New("title").Parse(title))
	return template.Must(t.New("body").Parse(body)).Lookup("page")
}

var signInPage = newPage("Sign in", `{{with .Problem}}<p class="problem" role="alert">{{.}}</p>{{end}}
<form method="post" action="/auth/login">
<input type="hidden" name="return_to" value="{{.ReturnTo}}">
<label for="username">User name</label>
<input id="username" name="username" value="{{.Username}}" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Sign in</button>
</form>`)

var indexPage = newPage("Operators", `<ul>
<li><a href="/openapi.json">What can be done here</a>, under /admin/api</li>
<li><a href="/admin/api/stats">Stats</a>, <a href="/admin/api/replicas">replicas</a>, <a href="/admin/api/config">configuration</a>, <a href="/admin/api/audit">audit</a></li>
<li><a href="/metrics">Metrics</a>, <a href="/health">health</a>, <a href="/debug/pprof/">profiles</a></li>
</ul>
<form method="post" action="/auth/logout"><button>Sign out</button></form>`)

// formPage is what the page to sign in shows.
type formPage struct {
	Username string
	ReturnTo string // a path on this listener
	Problem  string // with the last attempt; "": none
}

// showSignIn serves GET /auth/login.
func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request) {
	next := r.URL.Query().Get("return_to")
	if next == "" {
		next = origin(r, "")
	}
	s.writeForm(w, http.StatusOK, &formPage{ReturnTo: localPath(next)})
}

func (s *Server) writeForm(w http.ResponseWriter, status int, page *formPage) {
	s.writePage(w, status, signInPage, page)
}

// index serves GET /: what there is here.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	s.writePage(w, http.StatusOK, indexPage, nil)
}

func (s *Server) writePage(w http.ResponseWriter, status int, page *template.Template, data any) {
	sum := sha256.Sum256([]byte(style))
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := page.Execute(w, data); err != nil {
		s.Log.Debug("a page was not read to its end", "err", err)
	}
}
