package explain

import (
	"context"
	"fmt"
	"time"

	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// A Grant is a user's grant as it is shown to people: what it says, and what became of it.
type Grant struct {
	ID         store.ID   `json:"id"`
	Client     string     `json:"client_id"`
	Subject    string     `json:"subject"`
	Scope      string     `json:"scope,omitempty"`
	Audience   string     `json:"audience,omitempty"`
	Session    store.ID   `json:"session,omitzero"`
	AuthTime   *time.Time `json:"auth_time,omitempty"` // when the user signed in
	ACR        string     `json:"acr,omitempty"`
	Offline    bool       `json:"offline,omitempty"` // it outlives its session
	Refresh    bool       `json:"refresh,omitempty"` // it has a refresh token
	Generation int64      `json:"generation"`        // of the newest refresh token
	Created    time.Time  `json:"created"`
	Used       time.Time  `json:"used"` // to the minute
	Expires    time.Time  `json:"expires"`
	Active     bool       `json:"active"`
	State      string     `json:"state"` // "active", or what ended it, in a few words
	Fate
}

// OfGrant is the fate of a grant, and of its refresh token: its denial, or else that of the session that it does not
// outlive, and the last cut-off that hit it.
func (d *Deaths) OfGrant(ctx context.Context, g *store.Grant) (f Fate, err error) {
	f.CutOff = d.CutOff(&store.Record{Client: []byte(g.Client), Subject: []byte(g.Subject), Position: g.Position})
	f.Denied, err = d.denied(ctx, store.DenyGrant, g.ID)
	if f.Denied == nil && err == nil && !g.Offline && !g.Session.IsZero() {
		f.Denied, err = d.denied(ctx, store.DenySession, g.Session)
	}
	return f, err
}

// Grant is the grant as it is shown, now by the clock of whoever asks.
func (d *Deaths) Grant(ctx context.Context, g *store.Grant, now time.Time) (Grant, error) {
	fate, err := d.OfGrant(ctx, g)
	shown := Grant{
		ID: g.ID, Client: g.Client, Subject: g.Subject, Scope: g.Scope, Audience: g.Audience, Session: g.Session, ACR: g.ACR,
		Offline: g.Offline, Refresh: g.Refresh, Generation: int64(g.Generation),
		Created: g.Created.UTC(), Used: g.Used.UTC(), Expires: g.Expires.UTC(), Fate: fate,
	}
	if g.AuthTime != 0 {
		shown.AuthTime = new(time.Unix(g.AuthTime, 0).UTC())
	}
	shown.State = grantState(g, &fate, now)
	shown.Active = shown.State == "active"
	return shown, err
}

func grantState(g *store.Grant, f *Fate, now time.Time) string {
	switch {
	case g.Revoked:
		return "revoked"
	case f.Denied != nil:
		return f.Denied.What + " revoked"
	case f.CutOff != nil:
		return "cut off"
	case !now.Before(g.Expires):
		return "expired"
	case !g.Offline && !now.Before(time.Unix(g.AuthTime, 0).Add(login.SessionLife)):
		return "session over"
	}
	return "active"
}

const kindRefresh = "refresh"

// grants stands in for the grants that the rules ask of.
type grants struct {
	oauth.Grants // nil: what a verdict never asks for
	*explainer
}

// Grant finds the grant of a refresh token, and notes what it says.
func (g grants) Grant(id store.ID) (store.Grant, error) {
	e := g.explainer
	grant, err := e.Store.Grant(e.ctx, id)
	e.told.InStore = new(err == nil)
	if err == nil {
		e.grant = &grant
		e.told.Newest = int64(grant.Generation)
		e.record(&store.Record{
			ID: id, Grant: id, Issued: grant.Rotated.Unix(), Expires: grant.Expires.Unix(), Position: grant.Position,
			Client: []byte(grant.Client), Subject: []byte(grant.Subject), Scope: []byte(grant.Scope), Audience: []byte(grant.Audience),
		})
	}
	return grant, err
}

// Ended looks for the end of a session, and notes it if the grant ends with it.
func (g grants) Ended(session store.ID) bool {
	e := g.explainer
	ended, err := (&Deaths{db: e.Store}).denied(e.ctx, store.DenySession, session)
	if err != nil {
		e.fault = err
	}
	if ended != nil && !e.grant.Offline && e.told.Denied == nil {
		e.told.Denied = ended
	}
	return ended != nil
}

// grantCause is why a refresh token is refused whose grant is neither expired, denied nor cut off.
func (e *explainer) grantCause() string {
	t := &e.told
	switch {
	case e.grant.Revoked:
		return "The grant of the refresh token was revoked."
	case !e.grant.Refresh:
		return "The grant has no refresh token: its client may not use any, or the user did not allow it."
	case t.Generation < t.Newest:
		return fmt.Sprintf("The refresh token was rotated: it is of generation %d, and the newest, made at %s, is %d. "+
			"Its use revokes the grant, but for a retry of the last one within the grace time.", t.Generation, moment(e.grant.Rotated), t.Newest)
	case e.owner != nil && (e.owner.Disabled || !e.owner.MayUse(oauth.GrantRefresh.String())):
		return "Its client is disabled, or is registered for refresh_token no more."
	case !e.grant.Offline:
		return "The session in which the user allowed it is over, and the grant does not outlive it: offline_access was not allowed."
	}
	return unknownCause
}

// A GrantLister is what [Grants] asks.
type GrantLister interface {
	Grants(ctx context.Context, query store.GrantQuery) ([]store.Grant, error)
	DeathStore
}

// Grants is the grants that the query selects, as they are shown, and the id to go on before; zero: these are all.
func Grants(ctx context.Context, db GrantLister, query store.GrantQuery, now time.Time) (all []Grant, next store.ID, err error) {
	limit := query.Limit
	query.Limit++ // one more than is shown tells whether there is one
	found, err := db.Grants(ctx, query)
	if err != nil {
		return nil, next, err
	}
	if len(found) > limit {
		found = found[:limit]
		next = found[limit-1].ID
	}
	deaths, err := ReadDeaths(ctx, db)
	if err != nil {
		return nil, next, err
	}
	all = []Grant{}
	for i := range found {
		shown, err := deaths.Grant(ctx, &found[i], now)
		if err != nil {
			return nil, next, err
		}
		all = append(all, shown)
	}
	return all, next, nil
}
