package token

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"

	"oauth2-server/store"
)

// appendClaims appends the claims of a record (RFC 9068 §2.2). pos is the
// record's feed position, grant its grant if it has one.
func appendClaims(dst []byte, issuer string, r *store.Record) ([]byte, error) {
	if len(r.Subject) == 0 || len(r.Client) == 0 || len(r.Audience) == 0 {
		return nil, errIncomplete
	}
	start := len(dst)
	dst = AppendString(append(dst, `{"iss":`...), issuer)
	dst = AppendString(append(dst, `,"sub":`...), r.Subject)
	dst = AppendAudience(append(dst, `,"aud":`...), r.Audience)
	dst = AppendString(append(dst, `,"client_id":`...), r.Client)
	if len(r.Scope) > 0 {
		dst = AppendString(append(dst, `,"scope":`...), r.Scope)
	}
	dst = strconv.AppendInt(append(dst, `,"iat":`...), r.Issued, 10)
	dst = strconv.AppendInt(append(dst, `,"exp":`...), r.Expires, 10)
	dst = append(r.ID.Append(append(dst, `,"jti":"`...)), '"')
	if !r.Grant.IsZero() {
		dst = append(r.Grant.Append(append(dst, `,"grant":"`...)), '"')
	}
	dst = strconv.AppendInt(append(dst, `,"pos":`...), int64(r.Position), 10)
	if !utf8.Valid(dst[start:]) {
		return nil, errNotUTF8
	}
	return append(dst, '}'), nil
}

// claim is a set of claims that were read.
type claim uint16

const (
	claimIss claim = 1 << iota
	claimSub
	claimAud
	claimClient
	claimScope
	claimIat
	claimExp
	claimJti
	claimGrant
	claimPos

	required = claimIss | claimSub | claimAud | claimClient | claimIat | claimExp | claimJti | claimPos
)

// parseClaims reads what appendClaims wrote, in any order; b is overwritten
// and r's fields alias it. Each known claim stands once and has its type;
// others, which a newer version may write, are passed over. r is touched only on success.
func parseClaims(b []byte, r *store.Record) (issuer []byte, ok bool) {
	if !utf8.Valid(b) {
		return nil, false
	}
	c := claims{scanner: scanner{rest: b}}
	c.expect('{')
	c.member()
	for c.accept(',') {
		c.member()
	}
	c.expect('}')
	if c.bad || len(c.rest) != 0 || c.seen&required != required {
		return nil, false
	}
	*r = c.record
	return c.issuer, true
}

// claims is the state of reading claims.
type claims struct {
	scanner
	seen   claim
	issuer []byte
	record store.Record
}

func (c *claims) member() {
	name := c.text()
	c.expect(':')
	r := &c.record
	switch string(name) {
	case "iss":
		c.once(claimIss)
		c.issuer = c.name()
	case "sub":
		c.once(claimSub)
		r.Subject = c.name()
	case "aud":
		c.once(claimAud)
		r.Audience = c.audience()
	case "client_id":
		c.once(claimClient)
		r.Client = c.name()
	case "scope":
		c.once(claimScope)
		r.Scope = c.name()
	case "iat":
		c.once(claimIat)
		r.Issued = c.number(math.MaxUint32)
	case "exp":
		c.once(claimExp)
		r.Expires = c.number(math.MaxUint32)
	case "jti":
		c.once(claimJti)
		r.ID = c.id()
	case "grant":
		c.once(claimGrant)
		r.Grant = c.id()
	case "pos":
		c.once(claimPos)
		r.Position = store.Position(c.number(math.MaxInt64))
	default:
		c.skip(maxDepth)
	}
}

// once refuses a claim that stands twice: two readers could each take another one.
func (c *claims) once(one claim) {
	c.bad = c.bad || c.seen&one != 0
	c.seen |= one
}

// name is a string that is not empty.
func (c *claims) name() []byte {
	text := c.text()
	c.bad = c.bad || len(text) == 0
	return text
}

func (c *claims) id() store.ID {
	id, err := store.ParseID(string(c.text()))
	c.bad = c.bad || err != nil || id.IsZero()
	return id
}

// audience is one resource, or an array of them, joined by spaces.
func (c *claims) audience() []byte {
	if !c.accept('[') {
		return c.resource()
	}
	joined := c.resource()
	for c.accept(',') {
		joined = append(append(joined, ' '), c.resource()...)
	}
	c.expect(']')
	return joined
}

// resource holds no space: the record separates resources by one.
func (c *claims) resource() []byte {
	text := c.name()
	c.bad = c.bad || bytes.IndexByte(text, ' ') >= 0
	return text
}
