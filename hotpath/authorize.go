package hotpath

import (
	"errors"
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/hotpath/pages"
	"oauth2-server/store"
)

// authorize serves GET and POST /oauth/authorize (RFC 6749 §3.1, OpenID Connect Core §3.1.2.1).
func (s *Server) authorize(ctx *fasthttp.RequestCtx, x *exchange) error {
	return onPage((*Server).startAuthorization)(s, ctx, x)
}

func (s *Server) startAuthorization(v *visit) error {
	params := string(v.URI().QueryString())
	if v.IsPost() {
		if !isForm(v.Request.Header.ContentType()) {
			return errFormType
		}
		params = string(v.PostBody())
	}
	a, err := s.rules.ParseAuthorization(v.within, params)
	switch {
	case err != nil:
		return s.refuse(v, err)
	case v.IsPost() && v.session == nil && len(a.Params) <= login.MaxParams:
		// Browsers keep the cookie from what another site posts, and send it when they follow to the same request by GET.
		s.seeOther(v, pathAuthorize+"?"+a.Params)
		return nil
	}
	who, err := s.standing(v.within, v.session)
	if err != nil {
		return err
	}
	asked := login.Asked{At: s.clock().Unix()}
	if who != nil {
		asked.Before = who.session.ID
	}
	return s.proceed(v, &passage{a: a, asked: asked, who: who})
}

// A passage is an authorization request between the pages.
type passage struct {
	a       *oauth.Authorization
	asked   login.Asked
	sealed  string   // as the browser carried it here; "": it has just come
	bound   store.ID // the session whose consent it waited for; zero: none
	who     *person  // nil: nobody is signed in, or it was not asked yet
	allowed bool     // just now
}

// reopen goes on with a request that the browser carried. Who is there is asked after it: see [oauth.Rules.Allow].
func (s *Server) reopen(v *visit, sealed string) (*passage, error) {
	r, err := s.front.Sessions.OpenRequest(sealed, s.clock())
	if err != nil {
		return nil, errExpired
	}
	a, err := s.rules.ParseAuthorization(v.within, r.Params)
	if err != nil {
		return nil, err
	}
	return &passage{a: a, asked: r.Asked, sealed: sealed, bound: r.Session}, nil
}

var errExpired = &oauth.Error{Code: oauth.InvalidRequest, Description: "this page has expired: go back to the application and try again"}

// step decides what comes next.
func (s *Server) step(v *visit, p *passage) (login.Step, error) {
	a := p.a
	wishes := login.Wishes{
		None: a.None, Login: a.Login, Consent: a.Consent, Select: a.Select, MaxAge: a.MaxAge, Hint: a.Hint, Scope: a.Scope, Audience: strings.Join(s.others(a.Audience), " "),
		Trusted: a.Client.Trusted, Unproved: a.Client.Public() && !strings.HasPrefix(a.Redirect, "https://"),
	}
	seen := login.Visit{Allowed: p.allowed, Asked: p.asked, Now: s.clock().Unix()}
	if p.who == nil {
		return wishes.Next(&seen), nil
	}
	seen.User, seen.Session = &p.who.User, p.who.session
	seen.Here = seen.Session.ID == v.begun || seen.Session.ID == p.bound
	all, err := s.front.Store.Consents(v.within, p.who.ID)
	if err != nil {
		return 0, fmt.Errorf("find consents: %w", err)
	}
	for i := range all {
		if all[i].Client == a.Client.ID {
			seen.Consent = &all[i]
		}
	}
	return wishes.Next(&seen), nil
}

// proceed does the next step.
func (s *Server) proceed(v *visit, p *passage) error {
	step, err := s.step(v, p)
	if err != nil {
		return err
	}
	return s.take(v, p, step)
}

// take does a step.
func (s *Server) take(v *visit, p *passage, step login.Step) error {
	switch step {
	case login.SignIn:
		return s.carry(v, p, pathLogin, store.ID{})
	case login.Allow:
		return s.carry(v, p, pathConsent, p.who.session.ID)
	case login.LoginRequired:
		return s.refuse(v, p.a.Refuse(oauth.ErrLoginRequired))
	case login.ConsentRequired:
		return s.refuse(v, p.a.Refuse(oauth.ErrConsentRequired))
	}
	code, err := s.rules.Allow(v.within, p.a, oauth.Allowed{User: p.who.User, Session: p.who.session.ID, AuthTime: p.who.session.Issued})
	if err != nil {
		return s.refuse(v, err)
	}
	s.answerClient(v, s.rules.AnswerCode(p.a, code))
	return nil
}

// refuse tells the client of a refusal, where the request proved its redirect URI; else what is returned becomes a page.
func (s *Server) refuse(v *visit, err error) error {
	refusal, ok := errors.AsType[*oauth.AuthorizeError](err)
	if !ok || refusal.Redirect == "" {
		return err
	}
	s.answerClient(v, s.rules.AnswerError(refusal))
	return nil
}

// answerClient lets the browser bring an answer to the client.
func (s *Server) answerClient(v *visit, answer oauth.Answer) {
	if answer.Mode != oauth.ModeFormPost {
		redirect(v.RequestCtx, answer.URL())
		return
	}
	form := pages.FormPost{Action: answer.Redirect}
	for _, f := range answer.Fields {
		form.Fields = append(form.Fields, pages.Field(f))
	}
	writePage(v.RequestCtx, fasthttp.StatusOK, s.front.pages.FormPost(form))
}

// carry sends the browser to a page, with the request.
func (s *Server) carry(v *visit, p *passage, path string, session store.ID) error {
	sealed, err := s.front.Sessions.SealRequest(login.Request{Params: p.a.Params, Asked: p.asked, Session: session}, s.clock())
	if err != nil {
		return s.refuse(v, p.a.Refuse(errTooLong))
	}
	s.seeOther(v, path+"?request="+sealed)
	return nil
}

var errTooLong = &oauth.Error{Code: oauth.InvalidRequest, Description: "the request is too long for a URL: push it (RFC 9126)"}
