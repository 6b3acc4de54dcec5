package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"oauth2-server/hotpath/oauth"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// adminScope is the scope of tokens that may come in.
const adminScope = "admin"

// authorize finds out who asks, and refuses who may not: by a bearer token, or else by a session. It comes before
// anything of the request is decoded.
func (s *Server) authorize(r *http.Request) (store.Actor, error) {
	who, err := s.who(r)
	if err != nil {
		return store.Actor{}, err
	}
	return store.Actor{Kind: "admin", ID: who, Address: s.address(r).String()}, nil
}

func (s *Server) who(r *http.Request) (string, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		user, _, err := s.signedIn(r)
		return user.Username, err
	}
	scheme, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || text == "" {
		return "", refuse(http.StatusUnauthorized, "the Authorization header must be: Bearer TOKEN").with("WWW-Authenticate", challenge(""))
	}
	return s.bearer(r.Context(), []byte(text))
}

// everything is a caller who may see all tokens: this listener decides itself who comes in with which.
var everything = oauth.Caller{Client: &store.Client{Introspect: store.IntrospectAny}}

// bearer is who comes in with a token (RFC 6750): its client, or the user it acts for. The verdict is introspection's: what is
// revoked there is refused here.
func (s *Server) bearer(ctx context.Context, text []byte) (who string, err error) {
	if token.KindOf(text) == token.Refresh {
		return "", invalidToken("a refresh token is not for access") // introspection finds it active
	}
	var t oauth.Reading
	active, err := s.Rules.Introspect(everything, text, &t)
	if err != nil {
		return "", fmt.Errorf("judge a bearer token: %w", err)
	}
	client := string(t.Record.Client)
	switch {
	case !active:
		return "", invalidToken("the token is not active")
	case !hasWord(t.Record.Audience, s.Rules.Issuer):
		return "", invalidToken("the token is for another resource: it must have the audience " + s.Rules.Issuer) // RFC 9068 §4
	case !hasWord(t.Record.Scope, adminScope):
		return "", insufficientScope("the token must have the scope " + adminScope)
	case !slices.Contains(s.Clients, client):
		return "", insufficientScope("the token's client is not one of OAUTH2_ADMIN_CLIENT_IDS")
	}
	if !t.Record.Grant.IsZero() {
		return s.bearerUser(ctx, string(t.Record.Subject))
	}
	return "client:" + client, nil
}

// bearerUser is the user whom a token of a grant acts for: no scope makes an operator of somebody who is none.
func (s *Server) bearerUser(ctx context.Context, subject string) (name string, err error) {
	id, err := store.ParseID(subject)
	if err != nil {
		return "", invalidToken("the token's subject is no user")
	}
	user, err := s.DB.User(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !user.Operates():
		return "", insufficientScope("the token acts for a user who is no operator")
	case err != nil:
		return "", err
	}
	return user.Username, nil
}

func invalidToken(detail string) *problem {
	return refuse(http.StatusUnauthorized, "%s", detail).with("WWW-Authenticate", challenge("invalid_token"))
}

func insufficientScope(detail string) *problem {
	return refuse(http.StatusForbidden, "%s", detail).with("WWW-Authenticate", challenge("insufficient_scope")+`, scope="`+adminScope+`"`)
}

// challenge is the WWW-Authenticate of a refusal (RFC 6750 §3); without credentials it has no error.
func challenge(code string) string {
	text := `Bearer realm="oauth2-server operators"`
	if code != "" {
		text += `, error="` + code + `"`
	}
	return text
}

// hasWord reports whether a list separated by spaces holds the word.
func hasWord(list []byte, word string) bool {
	for have := range bytes.SplitSeq(list, []byte(" ")) {
		if string(have) == word {
			return true
		}
	}
	return false
}

// address is where the request comes from, behind trusted proxies; the zero value when it cannot be known.
func (s *Server) address(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	var forwarded [][]byte
	for _, line := range r.Header.Values("X-Forwarded-For") {
		forwarded = append(forwarded, []byte(line))
	}
	return s.Trusted.Client(peer.Addr().Unmap(), forwarded...)
}

// page serves a page to who may see it. A browser without a session is sent to sign in.
func (s *Server) page(serve http.HandlerFunc) http.Handler {
	return s.handle(func(w http.ResponseWriter, r *http.Request) error {
		_, err := s.authorize(r)
		p, _ := errors.AsType[*problem](err)
		switch {
		case p != nil && p.Status == http.StatusUnauthorized && wantsPage(r):
			sendTo(w, signInPath(r.URL.RequestURI()))
			return nil
		case err != nil:
			return err
		}
		serve(w, r)
		return nil
	})
}

// wantsPage reports whether a browser asks, for somebody to look at.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }
