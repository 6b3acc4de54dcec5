package hotpath

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/hotpath/pages"
	"oauth2-server/store"
)

// consent serves GET and POST /auth/consent.
func (s *Server) consent(ctx *fasthttp.RequestCtx, x *exchange) error {
	return byMethod(onPage((*Server).showConsent), onForm((*Server).decide))(s, ctx, x)
}

// showConsent asks, if that is what comes next in this session; else it does what does.
func (s *Server) showConsent(v *visit) error {
	p, err := s.meet(v, string(v.QueryArgs().Peek("request")))
	if err != nil {
		return s.refuse(v, err)
	}
	step, err := s.step(v, p)
	if err != nil {
		return err
	}
	if step != login.Allow || p.bound != p.who.session.ID {
		return s.take(v, p, step)
	}
	page := s.front.pages.Consent(pages.Consent{
		Client: nameOf(p.a.Client), Username: p.who.Username, Scopes: pages.Scopes(p.a.Scope), Redirect: p.a.Redirect, Request: p.sealed,
		Resources: s.others(p.a.Audience),
	})
	writePage(v.RequestCtx, fasthttp.StatusOK, page)
	return nil
}

// others is the audience without this server itself.
func (s *Server) others(audience string) []string {
	return slices.DeleteFunc(strings.Fields(audience), func(one string) bool { return one == s.rules.Issuer })
}

// meet reopens a request, and finds who is there.
func (s *Server) meet(v *visit, sealed string) (*passage, error) {
	p, err := s.reopen(v, sealed)
	if err != nil {
		return nil, err
	}
	p.who, err = s.standing(v.within, v.session)
	return p, err
}

var (
	errOtherSession = &oauth.Error{Code: oauth.InvalidRequest, Description: "this page belongs to another sign-in: go back to the application and try again"}
	errDecision     = &oauth.Error{Code: oauth.InvalidRequest, Description: "decision must be allow or deny"}
)

// decide takes what the user decided. The request is sealed for one session: who holds it in another decides nothing.
func (s *Server) decide(v *visit) error {
	p, err := s.meet(v, v.field("request"))
	if err != nil {
		return s.refuse(v, err)
	}
	if p.who == nil || p.bound != p.who.session.ID {
		return errOtherSession
	}
	switch v.field("decision") {
	case "deny":
		return s.deny(v, p)
	case "allow":
		return s.allow(v, p)
	}
	return errDecision
}

// deny tells the client. A pushed request is spent first: of both buttons one counts (RFC 9126 §4).
func (s *Server) deny(v *visit, p *passage) error {
	if !p.a.Pushed.IsZero() {
		err := s.front.Store.SpendPushed(v.within, p.a.Pushed)
		if errors.Is(err, store.ErrSpent) {
			return errExpired
		}
		if err != nil {
			return fmt.Errorf("spend pushed request: %w", err)
		}
	}
	return s.refuse(v, p.a.Refuse(oauth.ErrAccessDenied))
}

// allow remembers the consent before anything comes of it.
//
// A request that was not pushed may be answered twice, by a form that a browser sends twice: two codes of one page. RFC 6749 does
// not forbid it, and nobody gains by it: both go to the same redirect URI, with the same state, for the same user and session, and
// need the same verifier; the client redeems the one that its browser follows, and the other is dead in a minute. To know a request again
// would take a row for each. A pushed one has its row, and is answered once.
func (s *Server) allow(v *visit, p *passage) error {
	err := s.front.Store.SaveConsent(v.within, store.Consent{
		User: p.who.ID, Client: p.a.Client.ID, Scopes: strings.Fields(p.a.Scope), Audiences: s.others(p.a.Audience), At: s.clock(),
	})
	if err != nil {
		return fmt.Errorf("save consent: %w", err)
	}
	p.allowed = true
	return s.proceed(v, p)
}
