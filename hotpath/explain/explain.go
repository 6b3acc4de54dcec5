// Package explain says why a token is active or not, for people: with the
// server's own rules, so that there is no second verdict.
package explain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// A Store is what is asked about a token; storetest.Store says what each method promises.
type Store interface {
	FindTokens(ctx context.Context, keys []store.TokenKey, found func(i int, record []byte)) error
	Keys(ctx context.Context) ([]store.Key, error)
	Client(ctx context.Context, id string) (store.Client, error)
	Grant(ctx context.Context, id store.ID) (store.Grant, error)
	DeathStore
}

// Options of [Token].
type Options struct {
	Store  Store      // required
	Ring   *keys.Ring // required; a key that it cannot open matters if the token is of that key
	Issuer string     // of this server
	Now    time.Time  // by which the token is expired or not
	// Peek finds a record in Redis, nil when there is none there. Peek itself is nil where there is no Redis.
	Peek func(ctx context.Context, key store.TokenKey) ([]byte, error)
}

// An Explanation is all there is to say about a token, but the token itself. What could not be found out is absent.
type Explanation struct {
	Active bool   `json:"active"`
	Cause  string `json:"cause"` // in one sentence
	Kind   string `json:"kind"`  // "access", "jwt", "refresh", "code", "pushed" or "unknown"

	ID       store.ID   `json:"id,omitzero"` // as the token claims, where it is not authentic
	Grant    store.ID   `json:"grant,omitzero"`
	Client   string     `json:"client_id,omitempty"`
	Subject  string     `json:"subject,omitempty"`
	Scope    string     `json:"scope,omitempty"`
	Audience string     `json:"audience,omitempty"`
	Issued   *time.Time `json:"issued,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
	Expired  *bool      `json:"expired,omitempty"`

	Generation int64 `json:"generation,omitempty"` // of a refresh token
	Newest     int64 `json:"newest,omitempty"`     // generation that its grant has

	Key       string `json:"key,omitempty"` // number of an opaque token's key, id of a JWT's
	KeyKnown  *bool  `json:"key_known,omitempty"`
	Authentic *bool  `json:"authentic,omitempty"` // its MAC or signature is right
	Issuer    string `json:"issuer,omitempty"`    // of a JWT
	Expected  string `json:"issuer_expected,omitempty"`

	InRedis     *bool  `json:"in_redis,omitempty"` // the record of an opaque token
	RedisFault  string `json:"redis_fault,omitempty"`
	InStore     *bool  `json:"in_store,omitempty"`
	ClientState string `json:"client_state,omitempty"` // "enabled", "disabled" or "missing"
	Fate
}

// Token is the verdict on text and its reasons. An error means that there is no telling; it does not repeat the text.
func Token(ctx context.Context, o Options, text []byte) (*Explanation, error) {
	e := &explainer{Options: o, ctx: ctx}
	var err error
	if e.stored, err = o.Store.Keys(ctx); err != nil {
		return nil, fmt.Errorf("read the key ring: %w", err)
	}
	rules := oauth.New(oauth.Options{Issuer: o.Issuer, Clients: upToDate{explainer: e}, Tokens: e, Grants: grants{explainer: e}, Ring: o.Ring, SessionLife: login.SessionLife})
	whoever := oauth.Caller{Client: &store.Client{Introspect: store.IntrospectAny}}
	var reading oauth.Reading
	if e.told.Active, err = rules.Introspect(whoever, text, &reading); err != nil || e.fault != nil {
		return nil, errors.Join(err, e.fault)
	}
	refused, err := e.examine(text)
	if err != nil {
		return nil, err
	}
	if e.seen != nil && !e.judged {
		e.Dead(e.seen)
	}
	if err := errors.Join(e.client(), e.fault); err != nil {
		return nil, err
	}
	e.told.Cause = e.cause(refused)
	return &e.told, nil
}

// cause is the first of the reasons in the order in which the rules ask, given what the text itself was refused for.
func (e *explainer) cause(refused string) string {
	t := &e.told
	switch {
	case t.Active && t.Kind == kindRefresh:
		return "The refresh token is active: the token endpoint takes it from the client that it was issued to."
	case t.Active:
		return "The token is active; a caller that is told otherwise may not see it: it is neither the token's client nor its audience, and may not introspect any."
	case refused != "":
		return refused
	case t.Kind == kindRefresh && e.grant == nil:
		return "There is no grant of the refresh token: it was never redeemed here, its user or client was deleted, or the database lost it."
	case t.Expired != nil && *t.Expired:
		return fmt.Sprintf("The token expired at %s.", moment(*t.Expires))
	case e.asked && e.seen == nil:
		return "There is no record of the token: it was never issued from this database, or the database lost it."
	case t.Denied != nil:
		return fmt.Sprintf("The %s was revoked at %s by %s.", t.Denied.What, moment(t.Denied.At), t.Denied.By)
	case t.CutOff != nil:
		return fmt.Sprintf("All %s were revoked at %s by %s (change %d).", t.CutOff.What, moment(t.CutOff.At), t.CutOff.By, t.CutOff.Change)
	}
	if t.Kind == kindRefresh {
		return e.grantCause()
	}
	return unknownCause
}

const unknownCause = "The rules refuse the token for a reason that is not known here."

// moment is a time as people read it.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// client looks the token's client up.
func (e *explainer) client() error {
	if e.told.Client == "" {
		return nil
	}
	c, err := e.Store.Client(e.ctx, e.told.Client)
	switch {
	case errors.Is(err, store.ErrNotFound):
		e.told.ClientState = "missing"
		return nil
	case c.Disabled:
		e.told.ClientState = "disabled"
	default:
		e.told.ClientState = "enabled"
	}
	return err
}
