package hotpath

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/login"
	"oauth2-server/store"
)

// Names of the cookie. The listener for operators has another: cookies ignore ports. With https a prefix lets browsers
// take it from this host alone, for all of it, and never in clear (RFC 6265bis §4.1.3.2).
const (
	cookieName       = "oauth2-session"
	secureCookieName = "__Host-" + cookieName
)

// readCookie is the session that the browser keeps, or nil. [Server.standing] says whether it still stands.
func (s *Server) readCookie(ctx *fasthttp.RequestCtx) *login.Session {
	text := ctx.Request.Header.Cookie(s.front.cookie)
	if len(text) == 0 {
		return nil
	}
	session, err := s.front.Sessions.Open(login.ForPublic, string(text), s.clock())
	if err != nil {
		return nil
	}
	return &session
}

// setCookie lets the browser keep a session; nil takes it away.
func (s *Server) setCookie(ctx *fasthttp.RequestCtx, session *login.Session) {
	c := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(c)
	c.SetKey(s.front.cookie)
	c.SetPath("/")
	c.SetHTTPOnly(true)
	c.SetSecure(s.front.secure)
	c.SetSameSite(fasthttp.CookieSameSiteLaxMode) // an application sends its users here by a link
	if session == nil {
		c.SetExpire(fasthttp.CookieExpireDelete)
	} else {
		c.SetValue(s.front.Sessions.Seal(login.ForPublic, *session))
		c.SetMaxAge(int(login.SessionLife / time.Second))
	}
	ctx.Response.Header.SetCookie(c)
}

// A person is somebody who is signed in, as the store has the user now.
type person struct {
	store.User
	session login.Session
}

// standing is whose session it is; nil if it is nobody's, or has ended: signed out, cut off, or the user is not what the user was.
// Call it after the client was read whom the user may allow something.
func (s *Server) standing(ctx context.Context, session *login.Session) (*person, error) {
	if session == nil {
		return nil, nil
	}
	user, err := s.front.Store.User(ctx, session.User)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the user of a session: %w", err)
	}
	if !session.Valid(&user, "") {
		return nil, nil
	}
	if _, err := s.tier.Fresh(); err != nil {
		return nil, err
	}
	if s.over(session) {
		return nil, nil
	}
	return &person{user, *session}, nil
}

// over reports whether the session was signed out, or its user cut off since it began.
func (s *Server) over(session *login.Session) bool {
	return s.tier.Ended(session.ID) || s.tier.Dead(&store.Record{Subject: []byte(session.User.String()), Position: session.Position})
}

// begin signs the user in: a session of its own, whatever the browser had (ASVS 7.2.4). The position comes before the user is read
// again, so that what ends sessions meanwhile ends this one.
func (s *Server) begin(v *visit, user *store.User) *login.Session {
	session := login.NewSession(user, s.clock())
	session.Position = s.tier.Position()
	s.setCookie(v.RequestCtx, &session)
	v.session, v.begun = &session, session.ID
	return &session
}
