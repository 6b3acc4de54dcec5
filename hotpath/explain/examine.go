package explain

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// examine looks at the text as the rules did, and gathers what it says also where they stopped early.
func (e *explainer) examine(text []byte) (refused string, err error) {
	switch token.KindOf(text) {
	case token.Access:
		e.told.Kind = "access"
		return e.examineOpaque(text, token.Access)
	case token.Refresh:
		e.told.Kind = kindRefresh
		return e.examineOpaque(text, token.Refresh)
	case token.Code:
		e.told.Kind = "code"
		return e.examineOnce(text, token.Code, "an authorization code: the token endpoint redeems it")
	case token.Pushed:
		e.told.Kind = "pushed"
		return e.examineOnce(text, token.Pushed, "the reference of a pushed authorization request: the authorization endpoint takes it")
	case token.JWT:
		e.told.Kind = "jwt"
		return e.examineJWT(text)
	}
	e.told.Kind = "unknown"
	if trimmed := bytes.TrimSpace(text); len(trimmed) < len(text) && token.KindOf(trimmed) != token.Unknown {
		return "There is white space before the token, which is not part of it.", nil
	}
	return "It is no token of this server: it begins with none of oat_, ort_, oac_ and eyJ.", nil
}

func (e *explainer) examineOpaque(text []byte, kind token.Kind) (refused string, err error) {
	t := &e.told
	opaque, wrong := token.ParseOpaque(e.Ring, kind, text)
	if errors.Is(wrong, token.ErrMalformed) {
		return fmt.Sprintf("The token is malformed: it has %d characters and should have %d of base64url, so it was cut, extended or altered.", len(text), token.OpaqueLen), nil
	}
	t.ID, t.Key = opaque.ID, fmt.Sprint(opaque.Key)
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
		t.Grant, t.Generation = opaque.ID, int64(opaque.Generation())
		return "", nil
	}
	e.expires(opaque.Expires)
	if kind == token.Access && !e.asked { // expired: what is left of it?
		_, _, err = e.Find(nil, store.TokenKey{ID: opaque.ID, Expires: opaque.Expires})
	}
	return "", err
}

// examineOnce is for what is good once: its row is read by who spends it only.
func (e *explainer) examineOnce(text []byte, kind token.Kind, what string) (refused string, err error) {
	refused, err = e.examineOpaque(text, kind)
	switch {
	case refused != "" || err != nil:
		return refused, err
	case *e.told.Expired:
		return fmt.Sprintf("It is %s, once, and it expired at %s.", what, moment(*e.told.Expires)), nil
	}
	return fmt.Sprintf("It is %s, once, until %s; it is no access token. Whether it was used is not told here.", what, moment(*e.told.Expires)), nil
}

func (e *explainer) examineJWT(text []byte) (refused string, err error) {
	t := &e.told
	r := new(store.Record)
	err = token.ParseJWT(e.Ring, e.Issuer, text, r)
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
	t.Key, t.Issuer, t.Expected = named.KID, named.Iss, e.Issuer
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
	t.ID, t.Grant, t.Client, t.Subject = r.ID, r.Grant, string(r.Client), string(r.Subject)
	t.Scope, t.Audience = string(r.Scope), string(r.Audience)
	t.Issued = new(time.Unix(r.Issued, 0).UTC())
	e.expires(r.Expires)
	e.seen = r
}

func (e *explainer) expires(at int64) {
	e.told.Expires = new(time.Unix(at, 0).UTC())
	e.told.Expired = new(at <= e.Options.Now.Unix())
}
