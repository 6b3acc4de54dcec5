package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"oauth2-server/hotpath/login"
	"oauth2-server/store"
)

// NameSpace is before the names of operators where attempts are counted: who types one of them at the public listener
// spends nothing of it. [login.Door].
const NameSpace = "admin:"

// credentials is the body of POST /auth/login, a form or JSON.
type credentials struct {
	Username string `json:"username" required:"true"`
	Password string `json:"password" required:"true"`
	ReturnTo string `json:"return_to" doc:"path on this listener to go on at"`
}

// signedInAnswer is what who asks for JSON is told.
type signedInAnswer struct {
	Username string    `json:"username"`
	Role     string    `json:"role"`
	Expires  time.Time `json:"expires"` // of the session
}

// signIn serves POST /auth/login: a form of a browser is answered 303 to where it came from, JSON with JSON.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) error {
	c, err := readCredentials(r)
	if err != nil {
		return err
	}
	position := s.Tier.Position() // before the user is read: a cut-off of all that is made meanwhile ends the session
	user, err := s.Door.SignIn(r.Context(), login.Attempt{Username: c.Username, Password: c.Password, Address: s.address(r)})
	s.countSignIn(err)
	if err != nil {
		return s.keepOut(w, r, c, err)
	}
	session := login.NewSession(&user, time.Now())
	session.Position = position
	expires := time.Unix(session.Expires, 0).UTC()
	http.SetCookie(w, s.cookie(r, s.Sessions.Seal(login.ForAdmin, session), expires))
	if wantsJSON(r) {
		return answer(w, http.StatusOK, signedInAnswer{user.Username, user.Role, expires})
	}
	sendTo(w, origin(r, c.ReturnTo))
	return nil
}

// signOut serves POST /auth/logout. The session itself ends, not only the browser's copy of it.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	user, session, err := s.signedIn(r)
	if _, none := errors.AsType[*problem](err); err != nil && !none {
		return err
	}
	if err == nil {
		actor := store.Actor{Kind: "admin", ID: user.Username, Address: s.address(r).String()}
		if err := s.end(r.Context(), session, actor); err != nil {
			return err
		}
	}
	http.SetCookie(w, s.cookie(r, "", time.Time{})) // not before: who cannot be signed out must be able to try again
	if wantsJSON(r) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	sendTo(w, "/auth/login")
	return nil
}

func (s *Server) end(ctx context.Context, session login.Session, actor store.Actor) error {
	denial := store.Denial{Kind: store.DenySession, ID: session.ID, Expires: session.Expires, Actor: actor.String()}
	if err := s.DB.Deny(ctx, []store.Denial{denial}); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// keepOut answers an attempt that failed: a browser sees the form again, with what is wrong.
func (s *Server) keepOut(w http.ResponseWriter, r *http.Request, c *credentials, err error) error {
	p := s.keepOutProblem(err)
	if p == nil {
		return err
	}
	if !isForm(r) || !wantsPage(r) {
		return p
	}
	for name, values := range p.header {
		w.Header()[name] = values
	}
	s.writeForm(w, p.Status, &formPage{Username: c.Username, ReturnTo: localPath(c.ReturnTo), Problem: p.Detail})
	return nil
}

// keepOutProblem is what is wrong with an attempt; nil: nothing, it is a fault.
func (s *Server) keepOutProblem(err error) *problem {
	if tooMany, ok := errors.AsType[*login.TooMany](err); ok {
		p := tooManyAttempts(&tooMany.Verdict, s.now())
		p.Detail = fmt.Sprintf("this name or address has tried too often; try again in %s s, or let another operator exempt it: "+
			"oauth2-server limits override login.username "+NameSpace+"NAME --exempt", p.header.Get("Retry-After"))
		return p
	}
	switch {
	case errors.Is(err, login.ErrWrong):
		return refuse(http.StatusUnauthorized, "the user name or the password is wrong").with("WWW-Authenticate", challenge(""))
	case errors.Is(err, login.ErrRole):
		return refuse(http.StatusForbidden, "the user is no operator: the role must be %s", store.RoleAdmin)
	case errors.Is(err, login.ErrBusy):
		return refuse(http.StatusServiceUnavailable, "too many people are signing in: try again in a moment").with("Retry-After", "1")
	}
	return nil
}

func isForm(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/x-www-form-urlencoded"
}

// wantsJSON: by what it sends, or by what it accepts.
func wantsJSON(r *http.Request) bool {
	return isJSON(r) || strings.Contains(r.Header.Get("Accept"), "application/json")
}

var credentialsForm = newForm("", reflect.TypeFor[credentials]())

// readCredentials reads JSON as strictly as every route does, and a form alike.
func readCredentials(r *http.Request) (*credentials, error) {
	c := new(credentials)
	v := reflect.ValueOf(c).Elem()
	if !isForm(r) {
		return c, credentialsForm.read(r, v, new(call))
	}
	d := new(reader)
	if body, err := io.ReadAll(io.LimitReader(r.Body, maxBodyBytes+1)); err != nil || len(body) > maxBodyBytes {
		d.refuse("body", "has more than %d bytes, or did not arrive whole", maxBodyBytes)
	} else if given, err := url.ParseQuery(string(body)); err != nil {
		d.refuse("body", "is no form")
	} else {
		members := map[string]any{}
		for name, values := range given {
			members[name] = values[0]
			if len(values) > 1 {
				d.refuse(name, "is given more than once")
			}
		}
		d.object("", credentialsForm.body, v, members)
	}
	return c, errors.Join(d.faults...)
}

// origin is the page that the form came from: what it says itself, or else the browser.
func origin(r *http.Request, asked string) string {
	if asked != "" {
		return localPath(asked)
	}
	from, err := url.Parse(r.Referer())
	if err != nil || from.Host != r.Host || strings.HasPrefix(from.Path, "/auth/") {
		return "/"
	}
	return localPath(from.RequestURI())
}

// localPath is a path on this listener, "/" for whatever would lead elsewhere: browsers read \ as /, and skip control characters.
func localPath(text string) string {
	u, err := url.Parse(text)
	strange := func(r rune) bool { return r <= ' ' || r == '\\' || r > '~' }
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || strings.ContainsFunc(text, strange) {
		return "/"
	}
	return text
}

// signInPath is where to sign in, to go on at the path after it.
func signInPath(next string) string {
	if next = localPath(next); next == "/" {
		return "/auth/login"
	}
	return "/auth/login?return_to=" + url.QueryEscape(next)
}

// sendTo answers 303 See Other, without the body that [http.Redirect] adds.
func sendTo(w http.ResponseWriter, path string) {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}
