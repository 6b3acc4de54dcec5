package oauth

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"oauth2-server/cache"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// Introspect says whether the token is active for the caller (RFC 7662 §2.2). What is not: malformed, forged, expired, revoked,
// unknown, or not the caller's to see; the answer is the same for all. [store.ErrUnavailable] when it cannot be known.
// Refresh tokens are for this alone: to every other judge of tokens they are none, and in a batch they are inactive.
func (s *Rules) Introspect(caller Caller, text []byte, t *Reading) (active bool, err error) {
	if len(text) == 0 {
		return false, errNoToken
	}
	if token.KindOf(text) == token.Refresh {
		return s.introspectRefresh(caller, text, t)
	}
	alive, err := s.verdict(text, t)
	return alive && maySee(caller.Client, &t.Record), err
}

// introspectRefresh reads the grant of a refresh token. A resource never sees one as active: it must not pass for an access token there.
func (s *Rules) introspectRefresh(caller Caller, text []byte, t *Reading) (bool, error) {
	t.waited = false
	presented, authentic, err := s.open(token.Refresh, text, t)
	if !authentic || err != nil {
		return false, err
	}
	g, err := s.Grants.Grant(presented.ID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read grant: %w", err)
	}
	own := g.Client == caller.ID || caller.Introspect == store.IntrospectAny
	if !own || !g.Refresh || g.Revoked || presented.Generation() < g.Generation {
		return false, nil
	}
	t.refresh = true
	t.Record = store.Record{
		ID: g.ID, Grant: g.ID, Issued: g.Rotated.Unix(), Expires: g.Expires.Unix(), Position: g.Position,
		Client: []byte(g.Client), Subject: []byte(g.Subject), Scope: []byte(g.Scope), Audience: []byte(s.Issuer),
	}
	stands, err := s.stands(&g)
	if !stands || err != nil {
		return false, err
	}
	owner := s.Clients.Client([]byte(g.Client))
	usable := owner != nil && !owner.Disabled && owner.MayUse(GrantRefresh.String())
	return usable && !s.denied(g.ID) && s.Ring.MAC(presented.Key) != nil, nil
}

// IntrospectMany is Introspect for many tokens, with one trip to each tier for
// all of them. answer is called for each in order; t is valid only during the call.
func (s *Rules) IntrospectMany(caller Caller, texts [][]byte, answer func(t *Reading, active bool)) error {
	readings := make([]Reading, len(texts))
	read := make([]bool, len(texts))
	var keys []store.TokenKey
	var asked []*Reading
	waited := false // once for all of them
	for i, text := range texts {
		t := &readings[i]
		t.waited = waited
		var err error
		if read[i], err = s.read(text, t); err != nil {
			return err
		}
		if read[i] && t.far {
			keys, asked = append(keys, t.key), append(asked, t)
		}
		waited = t.waited
	}
	var damaged error
	err := s.Tokens.FindMany(keys, func(i int, record []byte, tier cache.Tier) {
		if asked[i].far = tier == cache.TierNone; asked[i].far {
			return // still far: there is none
		}
		if err := asked[i].parse(bytes.Clone(record)); err != nil {
			damaged = err
		}
	})
	if err == nil {
		err = damaged
	}
	if err != nil {
		return err
	}
	return s.answerMany(caller, readings, read, answer)
}

func (s *Rules) answerMany(caller Caller, readings []Reading, read []bool, answer func(t *Reading, active bool)) error {
	for i := range readings {
		t := &readings[i]
		active := read[i] && !t.far
		if active {
			alive, err := s.alive(t)
			if err != nil {
				return err
			}
			active = alive && maySee(caller.Client, &t.Record)
		}
		answer(t, active)
	}
	return nil
}

// Inactive is the whole answer about a token that is not active (RFC 7662 §2.2).
const Inactive = `{"active":false}`

// AppendJSON appends the answer about an active token to dst (RFC 7662 §2.2).
func (t *Reading) AppendJSON(dst []byte, issuer string) []byte {
	r := &t.Record
	dst = append(dst, `{"active":true,"client_id":`...)
	dst = token.AppendString(dst, r.Client)
	dst = append(dst, `,"sub":`...)
	dst = token.AppendString(dst, r.Subject)
	if len(r.Scope) > 0 {
		dst = append(dst, `,"scope":`...)
		dst = token.AppendString(dst, r.Scope)
	}
	dst = append(dst, `,"aud":`...)
	dst = token.AppendAudience(dst, r.Audience)
	dst = append(dst, `,"iss":`...)
	dst = token.AppendString(dst, issuer)
	if t.refresh {
		dst = append(dst, `,"token_use":"refresh_token","exp":`...) // it has no type: it is sent to no resource
	} else {
		dst = append(dst, `,"token_type":"Bearer","exp":`...)
	}
	dst = strconv.AppendInt(dst, r.Expires, 10)
	dst = append(dst, `,"iat":`...)
	dst = strconv.AppendInt(dst, r.Issued, 10)
	dst = append(dst, `,"jti":"`...)
	dst = r.ID.Append(dst)
	return append(dst, `"}`...)
}
