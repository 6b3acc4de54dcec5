package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"oauth2-server/hotpath/login"
	"oauth2-server/store"
)

// Names of the cookie. The public listener's has another: cookies ignore ports. With https a prefix lets browsers
// take it from this host alone, for all of it, and never in clear (RFC 6265bis §4.1.3.2).
const (
	cookieName       = "oauth2-admin"
	secureCookieName = "__Host-" + cookieName
)

// isSecure reports whether the browser speaks https, to us or to a trusted proxy.
func (s *Server) isSecure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	trusted := false
	for _, network := range s.Trusted {
		trusted = trusted || network.Contains(peer.Addr().Unmap())
	}
	return trusted && r.Header.Get("X-Forwarded-Proto") == "https"
}

// cookie is the session as the browser keeps it; an empty value takes it away.
func (s *Server) cookie(r *http.Request, value string, expires time.Time) *http.Cookie {
	c := &http.Cookie{
		Name: cookieName, Value: value, Path: "/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.isSecure(r),
	}
	if c.Secure {
		c.Name = secureCookieName
	}
	if value == "" {
		c.Expires, c.MaxAge = time.Unix(1, 0), -1
	}
	return c
}

// errSignedOut is the refusal of a request with no session that stands.
func errSignedOut(detail string) *problem {
	return refuse(http.StatusUnauthorized, "%s", detail).with("WWW-Authenticate", challenge(""))
}

// signedIn is whose session the request has. The user is read anew each time: who was disabled, lost the role or changed
// the password is out at once.
func (s *Server) signedIn(r *http.Request) (store.User, login.Session, error) {
	cookie, err := r.Cookie(s.cookie(r, "", time.Time{}).Name)
	if err != nil {
		return store.User{}, login.Session{}, errSignedOut("sign in at /auth/login, or send a bearer token of the scope admin")
	}
	session, err := s.Sessions.Open(login.ForAdmin, cookie.Value, time.Now())
	if err != nil {
		return store.User{}, session, errSignedOut("the session has ended: sign in at /auth/login")
	}
	user, err := s.DB.User(r.Context(), session.User)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return user, session, fmt.Errorf("find the user of a session: %w", err)
	}
	if err != nil || !session.Valid(&user, store.RoleAdmin) {
		return user, session, errSignedOut("the session has ended: sign in at /auth/login")
	}
	return user, session, s.stands(r, &session)
}

// stands refuses a session that was signed out, or began before everything was revoked. (What is revoked of one user ends sessions by
// the user's own row.)
func (s *Server) stands(r *http.Request, session *login.Session) error {
	if s.Tier.Dead(&store.Record{Position: session.Position}) {
		return errSignedOut("everything was revoked: sign in at /auth/login")
	}
	_, err := s.DB.Denied(r.Context(), store.DenySession, session.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("ask whether a session was ended: %w", err)
	}
	return errSignedOut("the session was signed out: sign in at /auth/login")
}
