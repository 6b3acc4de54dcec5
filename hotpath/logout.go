package hotpath

import (
	"net/url"

	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/oauth"
	"oauth2-server/hotpath/pages"
	"oauth2-server/store"
)

const pathLogout = "/oauth/logout"

// fieldConfirmed is set by our own page that asks whether to sign out.
const fieldConfirmed = "confirmed"

// logout serves GET and POST /oauth/logout (OpenID Connect RP-Initiated Logout 1.0 §2), for clients and for our own page that asks.
func (s *Server) logout(ctx *fasthttp.RequestCtx, x *exchange) error {
	return onPage((*Server).leave)(s, ctx, x)
}

func (s *Server) leave(v *visit) error {
	if err := v.readLogout(); err != nil {
		return err
	}
	who, err := s.standing(v.within, v.session)
	if err != nil {
		return err
	}
	q := oauth.LogoutRequest{
		Hint: v.field("id_token_hint"), Client: v.field("client_id"), Redirect: v.field("post_logout_redirect_uri"), State: v.field("state"),
		Confirmed: v.IsPost() && v.field(fieldConfirmed) != "" && s.front.ours(&v.Request.Header),
	}
	var browser oauth.Presence
	if who != nil {
		browser = oauth.Presence{User: who.ID, Session: who.session.ID, Actor: s.userActor(v, &who.User)}
	} else if err := s.endAgain(v); err != nil {
		return err
	}
	farewell, err := s.rules.Logout(v.within, &q, browser)
	if err != nil {
		return err
	}
	s.answerLogout(v, &q, farewell)
	return nil
}

// endAgain ends the session of the cookie once more if it has ended and the cookie is still here: its end may have failed half way.
func (s *Server) endAgain(v *visit) error {
	if v.session == nil || !s.tier.Ended(v.session.ID) {
		return nil
	}
	actor := store.Actor{Kind: "user", ID: v.session.User.String(), Address: s.clientAddress(v.RequestCtx).String()}
	return s.rules.EndSession(v.within, oauth.Presence{User: v.session.User, Session: v.session.ID, Actor: actor})
}

// readLogout reads the parameters, wherever they are (§2: both methods). Unknown ones, such as ui_locales, are passed over.
func (v *visit) readLogout() error {
	if v.IsPost() {
		return v.x.parseForm(v.RequestCtx)
	}
	return v.x.form.parse(v.URI().QueryString())
}

func (s *Server) answerLogout(v *visit, q *oauth.LogoutRequest, farewell oauth.Farewell) {
	switch {
	case farewell.Ask:
		writePage(v.RequestCtx, fasthttp.StatusOK, s.front.pages.ConfirmLogout(pathLogout, farewell.Redirect, logoutFields(q)...))
		return
	case farewell.Idle && v.IsPost() && v.session == nil:
		// Browsers keep the cookie from what another site posts, and send it when they follow by GET: see who is there then.
		s.seeOther(v, pathLogout+"?"+url.Values{"client_id": {q.Client}, "state": {q.State}}.Encode())
		return
	}
	s.setCookie(v.RequestCtx, nil)
	if farewell.Redirect == "" {
		s.seeOther(v, pathSignedOut)
		return
	}
	redirect(v.RequestCtx, farewell.Redirect)
}

// logoutFields carry the request over the page that asks.
func logoutFields(q *oauth.LogoutRequest) []pages.Field {
	fields := []pages.Field{{Name: fieldConfirmed, Value: "yes"}}
	for _, f := range []pages.Field{
		{Name: "id_token_hint", Value: q.Hint},
		{Name: "client_id", Value: q.Client},
		{Name: "post_logout_redirect_uri", Value: q.Redirect},
		{Name: "state", Value: q.State},
	} {
		if f.Value != "" {
			fields = append(fields, f)
		}
	}
	return fields
}
