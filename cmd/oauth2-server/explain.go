package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// An explanation is all there is to say about a token, but the token itself. What could not be found out is absent.
type explanation struct {
	Active bool   `json:"active"`
	Cause  string `json:"cause"` // in one sentence
	Kind   string `json:"kind"`  // "access", "jwt", "refresh" or "unknown"

	ID       string     `json:"id,omitempty"` // as the token claims, where it is not authentic
	Client   string     `json:"client_id,omitempty"`
	Subject  string     `json:"subject,omitempty"`
	Scope    string     `json:"scope,omitempty"`
	Audience string     `json:"audience,omitempty"`
	Issued   *time.Time `json:"issued,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
	Expired  *bool      `json:"expired,omitempty"`

	Key       string `json:"key,omitempty"` // number of an opaque token's key, id of a JWT's
	KeyKnown  *bool  `json:"key_known,omitempty"`
	Authentic *bool  `json:"authentic,omitempty"` // its MAC or signature is right
	Issuer    string `json:"issuer,omitempty"`    // of a JWT
	Expected  string `json:"issuer_expected,omitempty"`

	InRedis     *bool   `json:"in_redis,omitempty"` // the record of an opaque token
	RedisFault  string  `json:"redis_fault,omitempty"`
	InStore     *bool   `json:"in_store,omitempty"`
	Denied      *ending `json:"denied,omitempty"`
	CutOff      *ending `json:"cut_off,omitempty"`
	ClientState string  `json:"client_state,omitempty"` // "enabled", "disabled" or "missing"
}

// An ending is why a token died before it expired.
type ending struct {
	What   string         `json:"what"` // what was ended
	At     time.Time      `json:"at"`
	By     string         `json:"by"`
	Change store.Position `json:"change,omitempty"` // the feed number of a cut-off
}

// An explainer looks at a token with the server's own eyes: the rules judge it, and the explainer stands in for
// the tiers, which here are asked at once and remember nothing. So there is no second verdict.
type explainer struct {
	oauth.Tokens // nil: what a verdict never asks for
	ctx          context.Context
	db           database
	redis        redis.UniversalClient // nil: none
	ring         *keys.Ring
	stored       []store.Key
	issuer       string
	now          time.Time // this machine's clock

	told   explanation
	asked  bool          // the record of an opaque token was looked for
	seen   *store.Record // what an authentic token says
	judged bool          // it was looked for what killed it
	fault  error         // why it cannot be told
}

// upToDate: whoever asks the store itself knows all there is.
type upToDate struct{ oauth.Clients }

func (upToDate) Fresh() (stale bool, err error) { return false, nil }

// explain is the verdict on text and its reasons. An error means that there is no telling.
func (e *explainer) explain(text []byte) (*explanation, error) {
	rules := oauth.New(oauth.Options{Issuer: e.issuer, Clients: upToDate{}, Tokens: e, Ring: e.ring})
	whoever := oauth.Caller{Client: &store.Client{Introspect: store.IntrospectAny}}
	var reading oauth.Reading
	active, err := rules.Introspect(whoever, text, &reading)
	if err = errors.Join(err, e.fault); err != nil {
		return nil, err
	}
	e.told.Active = active
	reason, err := e.examine(text)
	if err != nil {
		return nil, err
	}
	if e.seen != nil && !e.judged {
		e.Dead(e.seen)
	}
	if err := errors.Join(e.client(), e.fault); err != nil {
		return nil, err
	}
	e.told.Cause = e.cause(reason)
	return &e.told, nil
}

// cause is the first of the reasons in the order in which the rules ask, given what the text itself was refused for.
func (e *explainer) cause(refused string) string {
	t := &e.told
	switch {
	case t.Active:
		return "The token is active; a caller that is told otherwise may not see it: it is neither the token's client nor its audience, and may not introspect any."
	case refused != "":
		return refused
	case t.Expired != nil && *t.Expired:
		return fmt.Sprintf("The token expired at %s.", moment(*t.Expires))
	case e.asked && e.seen == nil:
		return "There is no record of the token: it was never issued from this database, or the database lost it."
	case t.Denied != nil:
		return fmt.Sprintf("The %s was revoked at %s by %s.", t.Denied.What, moment(t.Denied.At), t.Denied.By)
	case t.CutOff != nil:
		return fmt.Sprintf("All tokens%s were revoked at %s by %s (change %d).", t.CutOff.What, moment(t.CutOff.At), t.CutOff.By, t.CutOff.Change)
	}
	return "The rules refuse the token for a reason that this command does not know."
}

// examine looks at the text as the rules did, and gathers what it says also where they stopped early.
func (e *explainer) examine(text []byte) (refused string, err error) {
	switch token.KindOf(text) {
	case token.Access:
		e.told.Kind = "access"
		return e.examineOpaque(text, token.Access)
	case token.Refresh:
		e.told.Kind = "refresh"
		refused, err = e.examineOpaque(text, token.Refresh)
		if refused == "" {
			refused = "It is a refresh token, and was presented where an access token is needed."
		}
		return refused, err
	case token.JWT:
		e.told.Kind = "jwt"
		return e.examineJWT(text)
	}
	e.told.Kind = "unknown"
	if trimmed := bytes.TrimSpace(text); len(trimmed) < len(text) && token.KindOf(trimmed) != token.Unknown {
		return "There is white space before the token, which is not part of it.", nil
	}
	return "It is no token of this server: it begins with none of oat_, ort_ and eyJ.", nil
}

func (e *explainer) examineOpaque(text []byte, kind token.Kind) (refused string, err error) {
	t := &e.told
	opaque, wrong := token.ParseOpaque(e.ring, kind, text)
	if errors.Is(wrong, token.ErrMalformed) {
		return fmt.Sprintf("The token is malformed: it has %d characters and should have %d of base64url, so it was cut, extended or altered.", len(text), token.OpaqueLen), nil
	}
	t.ID, t.Key = opaque.ID.String(), fmt.Sprint(opaque.Key)
	t.KeyKnown = new(!errors.Is(wrong, token.ErrUnknownKey))
	same := func(k store.Key) bool { return k.Use == store.UseMAC && k.Number == int(opaque.Key) }
	if !*t.KeyKnown {
		return e.unknownKey(same)
	}
	t.Authentic = new(wrong == nil)
	if !*t.Authentic {
		return "The token's MAC is wrong: it was altered, or made by another server or before the keys were reset.", nil
	}
	if kind == token.Refresh {
		return "", nil
	}
	e.expires(opaque.Expires)
	if !e.asked { // expired: what is left of it?
		_, _, err = e.Find(nil, store.TokenKey{ID: opaque.ID, Expires: opaque.Expires})
	}
	return "", err
}

func (e *explainer) examineJWT(text []byte) (refused string, err error) {
	t := &e.told
	r := new(store.Record)
	err = token.ParseJWT(e.ring, e.issuer, text, r)
	if errors.Is(err, token.ErrMalformed) {
		return "The JWT is malformed: it was cut, extended or altered, or is no access token.", nil
	}
	header, rest, _ := bytes.Cut(text, []byte("."))
	payload, _, _ := bytes.Cut(rest, []byte("."))
	var named struct {
		KID string `json:"kid"`
		Iss string `json:"iss"`
	}
	decodeSegment(header, &named)
	decodeSegment(payload, &named)
	t.Key, t.Issuer, t.Expected = named.KID, named.Iss, e.issuer
	t.KeyKnown = new(!errors.Is(err, token.ErrUnknownKey))
	if !*t.KeyKnown {
		return e.unknownKey(func(k store.Key) bool { return k.Use == store.UseSign && k.ID.String() == named.KID })
	}
	t.Authentic = new(!errors.Is(err, token.ErrSignature))
	if !*t.Authentic {
		return "The JWT's signature is wrong: it was altered or forged.", nil
	}
	e.record(r)
	if errors.Is(err, token.ErrIssuer) {
		return fmt.Sprintf("The JWT's issuer is %q, and that of this server is %q: OAUTH2_SERVER_PUBLIC_BASE_URL differs from that of the replica which issued it.", t.Issuer, t.Expected), nil
	}
	return "", err
}

// decodeSegment reads a segment of a JWT; what cannot be read is left as it is.
func decodeSegment(segment []byte, v any) {
	if text, err := base64.RawURLEncoding.AppendDecode(nil, segment); err == nil {
		_ = json.Unmarshal(text, v) // it is to be shown, not trusted
	}
}

// unknownKey says why the ring does not have the key. One that is stored but cannot be opened here says nothing
// about the servers, which may have other secrets.
func (e *explainer) unknownKey(same func(store.Key) bool) (string, error) {
	i := slices.IndexFunc(e.stored, same)
	switch {
	case i < 0:
		return "No key of the ring made the token: it comes from another server, was altered, or the keys were reset since.", nil
	case e.stored[i].State == store.KeyRetired:
		return fmt.Sprintf("The token's key %s is retired.", e.stored[i].ID), nil
	}
	return "", fmt.Errorf("key %s of the token cannot be opened: OAUTH2_JWT_SECRET is not the one that the servers have", e.stored[i].ID)
}

// record takes what an authentic record says.
func (e *explainer) record(r *store.Record) {
	t := &e.told
	t.ID, t.Client, t.Subject = r.ID.String(), string(r.Client), string(r.Subject)
	t.Scope, t.Audience = string(r.Scope), string(r.Audience)
	t.Issued = new(time.Unix(r.Issued, 0).UTC())
	e.expires(r.Expires)
	e.seen = r
}

func (e *explainer) expires(at int64) {
	e.told.Expires = new(time.Unix(at, 0).UTC())
	e.told.Expired = new(at <= e.now.Unix())
}

// client looks the token's client up.
func (e *explainer) client() error {
	if e.told.Client == "" {
		return nil
	}
	c, err := e.db.Client(e.ctx, e.told.Client)
	if errors.Is(err, store.ErrNotFound) {
		e.told.ClientState = "missing"
		return nil
	}
	e.told.ClientState = view(c).state()
	return err
}
