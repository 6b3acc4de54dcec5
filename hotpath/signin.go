package hotpath

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/pages"
	"oauth2-server/store"
)

// login serves GET and POST /auth/login.
func (s *Server) login(ctx *fasthttp.RequestCtx, x *exchange) error {
	return byMethod(onPage((*Server).showSignIn), onForm((*Server).signIn))(s, ctx, x)
}

// showSignIn shows the form. Who is signed in and comes without a request has nothing to do here.
func (s *Server) showSignIn(v *visit) error {
	if sealed := v.QueryArgs().Peek("request"); len(sealed) > 0 {
		p, err := s.reopen(v, string(sealed))
		if err != nil {
			return s.refuse(v, err)
		}
		writePage(v.RequestCtx, fasthttp.StatusOK, s.front.pages.Login(p.form()))
		return nil
	}
	who, err := s.standing(v.within, v.session)
	if err != nil {
		return err
	}
	if who != nil {
		s.seeOther(v, pathProfile)
		return nil
	}
	writePage(v.RequestCtx, fasthttp.StatusOK, s.front.pages.Login(pages.Login{}))
	return nil
}

// form is what the page to sign in shows for the request.
func (p *passage) form() pages.Login {
	return pages.Login{Client: nameOf(p.a.Client), Username: p.a.LoginHint, Request: p.sealed, Redirect: p.a.Redirect}
}

// nameOf is what people know a client by.
func nameOf(client *store.Client) string {
	if client.Name != "" {
		return client.Name
	}
	return client.ID
}

// signIn takes the form: a session begins, and the request, if there is one, goes on.
func (s *Server) signIn(v *visit) error {
	p, form := (*passage)(nil), pages.Login{}
	if sealed := v.field("request"); sealed != "" {
		var err error
		if p, err = s.reopen(v, sealed); err != nil {
			return s.refuse(v, err)
		}
		form = p.form()
	}
	form.Username = v.field("username")
	user, err := s.attempt(v, form.Username, v.field("password"))
	s.metrics.countLogin(err)
	if err != nil {
		return s.keepOut(v, form, err)
	}
	session := s.begin(v, &user)
	if p == nil {
		s.seeOther(v, pathProfile)
		return nil
	}
	if p.who, err = s.standing(v.within, session); err != nil {
		return err
	}
	return s.proceed(v, p)
}

// attempt holds a password against the user's. Attempts spend limits, by address and by name.
func (s *Server) attempt(v *visit, username, password string) (store.User, error) {
	user, err := s.front.Door.SignIn(v.within, login.Attempt{Username: username, Password: password, Address: s.clientAddress(v.RequestCtx)})
	if tooMany, ok := errors.AsType[*login.TooMany](err); ok {
		v.x.verdict = tooMany.Verdict
	}
	return user, err
}

// keepOut shows the form again, with what is wrong. A fault is returned.
func (s *Server) keepOut(v *visit, form pages.Login, err error) error {
	status, problem := s.problemOf(v, err)
	if status == 0 {
		return err
	}
	form.Problem = problem
	writePage(v.RequestCtx, status, s.front.pages.Login(form))
	return nil
}

// problemOf is what to say of an attempt that failed; status 0: nothing, it is a fault.
func (s *Server) problemOf(v *visit, err error) (status int, problem string) {
	h := &v.Response.Header
	if _, ok := errors.AsType[*login.TooMany](err); ok {
		retry := retrySeconds(&v.x.verdict)
		h.Set(fasthttp.HeaderRetryAfter, strconv.FormatInt(retry, 10))
		return fasthttp.StatusTooManyRequests, fmt.Sprintf("There were too many attempts. Try again in %s.", inWords(retry))
	}
	switch {
	case errors.Is(err, login.ErrWrong):
		h.Set(fasthttp.HeaderWWWAuthenticate, pageChallenge)
		return fasthttp.StatusUnauthorized, "The user name or the password is wrong."
	case errors.Is(err, login.ErrBusy):
		h.Set(fasthttp.HeaderRetryAfter, retryAfter)
		return fasthttp.StatusServiceUnavailable, "Too many people are signing in. Try again in a moment."
	}
	return 0, ""
}

// pageChallenge is of a scheme that no browser has a dialog for (RFC 9110 §15.5.2 demands one).
const pageChallenge = `Form realm="oauth2-server"`

// inWords is a time for people.
func inWords(seconds int64) string {
	switch {
	case seconds == 1:
		return "a second"
	case seconds < 120:
		return fmt.Sprintf("%d seconds", seconds)
	}
	return fmt.Sprintf("%d minutes", (seconds+59)/60)
}
