package oauth

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// Departures is what is done with the store when somebody signs out; storetest.Store says what each method promises.
type Departures interface {
	Grants(ctx context.Context, query store.GrantQuery) ([]store.Grant, error)
	RevokeGrants(ctx context.Context, actor store.Actor, query store.GrantQuery) (int, error)
	QueueLogouts(ctx context.Context, all []store.Logout) error
}

// A Presence is a user in a session; the zero value is nobody.
type Presence struct {
	User, Session store.ID
	Actor         store.Actor // who ends it, for the audit
}

// A LogoutRequest is OpenID Connect RP-Initiated Logout 1.0 §2. Empty fields were not sent.
type LogoutRequest struct {
	Hint      string // id_token_hint
	Client    string // client_id
	Redirect  string // post_logout_redirect_uri
	State     string
	Confirmed bool // the user said so, on a page of ours
}

// A Farewell is what comes of a logout request.
type Farewell struct {
	Ask      bool   // nothing is done yet: the user is to be asked
	Idle     bool   // there was nothing to do: nobody is known to be signed in
	Redirect string // where the browser goes when all is done; "": a page of ours
}

// Logout ends the session of the browser, the one that the hint tells of, or both; what was granted in them, but for what
// outlives its session; and tells the clients that want to know, behind the answer (OpenID Connect RP-Initiated Logout 1.0 §2,
// Back-Channel Logout 1.0 §2.7). Who comes with a hint of the session in the browser is not asked, anybody else is:
// else any page could sign a user out, and one that kept an id_token for ever could do so again and again (RP-Initiated Logout §2 has
// a hint of any age accepted, and calls one of another session suspect). [store.ErrUnavailable]: it is not certain that all is done, the same request may be repeated.
func (s *Rules) Logout(ctx context.Context, q *LogoutRequest, browser Presence) (Farewell, error) {
	var f Farewell
	hinted, client, ok := s.hinted(q)
	if ok {
		f.Redirect = s.afterLogout(client, q)
	}
	signedIn := !browser.Session.IsZero()
	if signedIn && !q.Confirmed && (!ok || hinted.Session != browser.Session) {
		f.Ask = true
		return f, nil
	}
	ends := make([]Presence, 0, 2)
	if signedIn {
		ends = append(ends, browser)
	}
	if ok && (!signedIn || hinted.User == browser.User && hinted.Session != browser.Session) {
		ends = append(ends, hinted)
	}
	for _, one := range ends {
		if err := s.EndSession(ctx, one); err != nil {
			return Farewell{}, err
		}
	}
	f.Idle = len(ends) == 0
	return f, nil
}

// hinted is whom the hint tells of, and the client that it was made for. A hint that is not ours, or another client's than
// the request says, is worth as much as none (RP-Initiated Logout §2, §4).
func (s *Rules) hinted(q *LogoutRequest) (who Presence, client string, ok bool) {
	subject, session, client, ok := s.hint(q.Hint)
	if !ok || q.Client != "" && q.Client != client {
		return Presence{}, "", false
	}
	user, err1 := store.ParseID(subject)
	id, err2 := store.ParseID(session)
	return Presence{User: user, Session: id, Actor: store.Actor{Kind: "client", ID: client}}, client, err1 == nil && err2 == nil
}

// afterLogout is where the browser goes: only to what the client is registered for, character by character
// (RP-Initiated Logout §3.1), and only if the request proved with its hint that it comes from there.
func (s *Rules) afterLogout(id string, q *LogoutRequest) string {
	client := s.Clients.Client([]byte(id))
	if client == nil || client.Disabled || !slices.Contains(client.PostLogoutURIs, q.Redirect) {
		return ""
	}
	if q.State == "" {
		return q.Redirect
	}
	separator := "?"
	if strings.Contains(q.Redirect, "?") {
		separator = "&"
	}
	return q.Redirect + separator + "state=" + url.QueryEscape(q.State)
}

// EndSession ends one session wherever a copy of it is, with the grants that live with it, and has the clients told that want to
// know. First of all nothing more can be done in it: what a code that is under way becomes is dead, as its session is.
// [store.ErrUnavailable]: it is not certain that all is done, and it may be repeated.
func (s *Rules) EndSession(ctx context.Context, who Presence) error {
	denial := store.Denial{Kind: store.DenySession, ID: who.Session, Expires: s.now() + int64(s.SessionLife/time.Second), Actor: who.Actor.String()}
	if err := s.Tokens.Deny(denial); err != nil {
		return fmt.Errorf("end session %s: %w", who.Session, err)
	}
	for {
		revoked, err := s.Departures.RevokeGrants(ctx, who.Actor, store.GrantQuery{Session: who.Session})
		if err != nil {
			return fmt.Errorf("revoke the grants of session %s: %w", who.Session, err)
		}
		if revoked < store.MaxDenials {
			break
		}
	}
	return s.queueLogouts(ctx, who) // last: who repeats what failed before tells nobody twice
}

// grantPage is how many grants are read at once.
const grantPage = 100

// queueLogouts has logout tokens sent to the clients that were allowed something in the session, once to each. Those whose
// grant outlives the session, or was revoked, may have a session of their own still: they are told too.
func (s *Rules) queueLogouts(ctx context.Context, who Presence) error {
	now := time.Unix(0, s.Tokens.Now())
	told := map[string]bool{}
	var all []store.Logout
	query := store.GrantQuery{Subject: who.User.String(), Limit: grantPage}
	for {
		grants, err := s.Departures.Grants(ctx, query)
		if err != nil {
			return fmt.Errorf("list grants: %w", err)
		}
		for _, g := range grants {
			if g.Session != who.Session || told[g.Client] || !s.listens(g.Client) {
				continue
			}
			told[g.Client] = true
			all = append(all, store.Logout{ID: store.NewID(now), Client: g.Client, Subject: g.Subject, Session: g.Session, Next: now})
		}
		// The newest come first: behind what is older than any session there is nothing of this one.
		if len(grants) < query.Limit || now.Sub(grants[len(grants)-1].Created) > 2*s.SessionLife {
			break
		}
		query.Before = grants[len(grants)-1].ID
	}
	if len(all) == 0 {
		return nil
	}
	if err := s.Departures.QueueLogouts(ctx, all); err != nil {
		return fmt.Errorf("queue logout tokens: %w", err)
	}
	return nil
}

// listens reports whether the client wants logout tokens.
func (s *Rules) listens(id string) bool {
	client := s.Clients.Client([]byte(id))
	return client != nil && !client.Disabled && client.BackchannelLogout != ""
}

// hint reads an id_token that comes back as id_token_hint (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §4): one that we signed,
// of any age, as long as its key verifies. ok tells whether it is; session is its sid.
func (s *Rules) hint(text string) (subject, session, client string, ok bool) {
	if len(text) > token.MaxJWTBytes || strings.ContainsAny(text, "\r\n") { // which the decoder would skip
		return "", "", "", false
	}
	message, rest := cutLast(text)
	header, payload, _ := strings.Cut(message, ".")
	verifier := s.Ring.IDTokenVerifier([]byte(header)) // byte for byte: no other algorithm, no "none"
	signature, err := hintEncoding.DecodeString(rest)
	if verifier == nil || err != nil || !verifier.Verify([]byte(message), signature) {
		return "", "", "", false
	}
	claims, err := hintEncoding.DecodeString(payload)
	if err != nil {
		return "", "", "", false
	}
	var said struct{ Iss, Sub, Aud, Sid string }
	if err := json.NewDecoder(bytes.NewReader(claims)).Decode(&said); err != nil || said.Iss != s.Issuer || said.Sub == "" {
		return "", "", "", false
	}
	return said.Sub, said.Sid, said.Aud, true
}

var hintEncoding = base64.RawURLEncoding.Strict()

// cutLast cuts a text at its last dot.
func cutLast(text string) (before, after string) {
	i := max(strings.LastIndexByte(text, '.'), 0)
	return text[:i], strings.TrimPrefix(text[i:], ".")
}
