package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"oauth2-server/hotpath/explain"
	"oauth2-server/store"
)

func grantRoutes() []route {
	const one = "/admin/api/grants/{id}"
	return []route{
		on("GET", "/admin/api/grants", "What users have allowed clients, the newest first", listGrants),
		on("GET", one, "A grant", showGrant),
		on("POST", one+"/revoke", "Revoke a grant: its refresh token and its access tokens", revokeOneGrant),
	}
}

type grantList struct {
	Items []explain.Grant `json:"items"`
	Next  *store.ID       `json:"next" doc:"for before, to get the next page; null: this was the last"`
}

func (s *Server) grants(c *call, query store.GrantQuery) (grantList, error) {
	all, next, err := explain.Grants(c, s.DB, query, s.now())
	list := grantList{Items: all}
	if !next.IsZero() {
		list.Next = &next
	}
	return list, err
}

func listGrants(s *Server, c *call, in *struct {
	Subject string   `query:"subject" doc:"only those of the user with this id"`
	Client  string   `query:"client" doc:"only those to the client"`
	Live    bool     `query:"live" default:"false" doc:"true: neither revoked nor expired"`
	Before  store.ID `query:"before" doc:"only those with an id before this one"`
	Limit   int64    `query:"limit" default:"50" min:"1" max:"200"`
},
) (grantList, error) {
	return s.grants(c, store.GrantQuery{Subject: in.Subject, Client: in.Client, Live: in.Live, Before: in.Before, Limit: int(in.Limit)})
}

// oneGrant is a request that only says which grant.
type oneGrant struct {
	ID store.ID `path:"id"`
}

func showGrant(s *Server, c *call, in *oneGrant) (explain.Grant, error) {
	grant, err := s.DB.Grant(c, in.ID)
	if errors.Is(err, store.ErrNotFound) {
		return explain.Grant{}, refuse(http.StatusNotFound, "there is no grant %s", in.ID)
	}
	if err != nil {
		return explain.Grant{}, err
	}
	deaths, err := explain.ReadDeaths(c, s.DB)
	if err != nil {
		return explain.Grant{}, err
	}
	return deaths.Grant(c, &grant, s.now())
}

// revokeOneGrant wants a grant that is active, so that a mistake is noticed.
func revokeOneGrant(s *Server, c *call, in *oneGrant) (explain.Grant, error) {
	shown, err := showGrant(s, c, in)
	if err != nil {
		return explain.Grant{}, err
	}
	if !shown.Active {
		return explain.Grant{}, refuse(http.StatusConflict, "nothing to revoke: the grant is not active: %s", shown.State)
	}
	if _, err := s.endGrant(c, in.ID); err != nil {
		return explain.Grant{}, err
	}
	return showGrant(s, c, in)
}

// endGrant revokes a grant, and denies it on this replica before it answers; the denial outlives every access token of the
// grant. One that has no row, or is revoked already, is denied all the same.
func (s *Server) endGrant(c *call, id store.ID) (*store.Denial, error) {
	if _, err := s.DB.RevokeGrants(c, c.Actor, store.GrantQuery{ID: id}); err != nil {
		return nil, err
	}
	denial := store.Denial{Kind: store.DenyGrant, ID: id, Expires: s.now().Add(store.MaxTokenLife).Unix(), Actor: c.Actor.String()}
	return &denial, s.Tier.Deny(denial)
}

func listUserGrants(s *Server, c *call, in *struct {
	ID     string   `path:"id" doc:"id or user name"`
	Client string   `query:"client" doc:"only those to the client"`
	Live   bool     `query:"live" default:"false" doc:"true: neither revoked nor expired"`
	Before store.ID `query:"before" doc:"only those with an id before this one"`
	Limit  int64    `query:"limit" default:"50" min:"1" max:"200"`
},
) (grantList, error) {
	user, err := s.user(c, in.ID)
	if err != nil {
		return grantList{}, err
	}
	return s.grants(c, store.GrantQuery{Subject: user.ID.String(), Client: in.Client, Live: in.Live, Before: in.Before, Limit: int(in.Limit)})
}

// A consent is what a user is not asked again.
type consent struct {
	Client    string    `json:"client_id"`
	Scopes    []string  `json:"scopes"`
	Audiences []string  `json:"audiences" doc:"where, beside this server itself"`
	At        time.Time `json:"at"`
}

type consentList struct {
	Items []consent `json:"items"`
}

func listConsents(s *Server, c *call, in *oneUser) (consentList, error) {
	user, err := s.user(c, in.ID)
	if err != nil {
		return consentList{}, err
	}
	all, err := consents(c, s.DB, user.ID)
	return consentList{all}, err
}

func consents(ctx context.Context, db peopleStore, user store.ID) ([]consent, error) {
	found, err := db.Consents(ctx, user)
	all := []consent{}
	for _, one := range found {
		all = append(all, consent{one.Client, one.Scopes, append([]string{}, one.Audiences...), one.At.UTC()})
	}
	return all, err
}

func withdrawConsent(s *Server, c *call, in *struct {
	ID     string `path:"id" doc:"id or user name"`
	Client string `path:"client"`
},
) (struct{}, error) {
	user, err := s.user(c, in.ID)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.DB.WithdrawConsent(c, c.Actor, user.ID, in.Client)
}
