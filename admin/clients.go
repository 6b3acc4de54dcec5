package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

func clientRoutes() []route {
	const one = "/admin/api/clients/{id}"
	return []route{
		on("GET", "/admin/api/clients", "The clients, by id", listClients),
		on("POST", "/admin/api/clients", "Register a client; a secret that is generated is told this once", createClient),
		on("GET", one, "A client", showClient),
		on("PATCH", one, "Change what is given of a client; a list is replaced whole", patchClient),
		on("DELETE", one, "Delete a client and revoke its tokens", deleteClient),
		on("POST", one+"/rotate-secret", "Give a client a new secret; the previous one stays valid beside it", rotateSecret),
		on("POST", one+"/retire-secret", "End the previous secret of a client; the newest stays", retireSecret),
		on("POST", one+"/disable", "Refuse a client and revoke its tokens", disableClient),
		on("POST", one+"/enable", "Admit a disabled client again; its revoked tokens stay revoked", enableClient),
	}
}

// A clientView is a client as it is shown: of its secrets the number only.
type clientView struct {
	store.Client
	Secrets int `json:"secrets" doc:"how many there are"` // in the place of the hashes
}

func viewClient(c *store.Client) clientView { return clientView{c.Masked(), oauth.SecretCount(c)} }

// A clientMade is a client that may have got a secret, the only time that anybody sees it.
type clientMade struct {
	clientView
	Secret string `json:"client_secret,omitempty" doc:"that was generated: shown this once"`
}

// oneClient is a request that only says which client.
type oneClient struct {
	ID string `path:"id"`
}

type clientList struct {
	Items []clientView `json:"items"`
	Next  *string      `json:"next" doc:"for after, to get the next page; null: this was the last"`
}

func listClients(s *Server, c *call, in *struct {
	After  string `query:"after" doc:"clients with an id after this one"`
	Limit  int64  `query:"limit" default:"100" min:"1" max:"1000"`
	Search string `query:"search" doc:"part of the id or the name, in upper or lower case"`
},
) (clientList, error) {
	all, err := s.DB.Clients(c)
	if err != nil {
		return clientList{}, err
	}
	slices.SortFunc(all, func(a, b store.Client) int { return cmp.Compare(a.ID, b.ID) })
	list := clientList{Items: []clientView{}}
	wanted := strings.ToLower(in.Search)
	for i := range all {
		one := &all[i]
		if one.ID <= in.After || !strings.Contains(strings.ToLower(one.ID+"\n"+one.Name), wanted) {
			continue
		}
		if len(list.Items) == int(in.Limit) {
			list.Next = &list.Items[in.Limit-1].ID
			break
		}
		list.Items = append(list.Items, viewClient(one))
	}
	return list, nil
}

func showClient(s *Server, c *call, in *oneClient) (clientView, error) {
	client, err := s.DB.Client(c, in.ID)
	return viewClient(&client), aboutClient(in.ID, err)
}

// aboutClient says which client is not there; other errors stay as they are.
func aboutClient(id string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return refuse(http.StatusNotFound, "there is no client %q", id)
	}
	return err
}

// clientParts is what a request says of a client: nil is nothing.
type clientParts struct {
	Name         *string   `json:"name" doc:"for people"`
	AuthMethod   *string   `json:"auth_method" doc:"client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt or none; empty: either way of sending a secret"`
	Grants       *[]string `json:"grants" doc:"grant types it may use; left out at creation: with redirect URIs authorization_code and refresh_token, else client_credentials, if it authenticates"`
	Scopes       *[]string `json:"scopes" doc:"that it may ask for; left out at creation of a client with authorization_code: openid, profile, email, and offline_access with refresh_token"`
	Audiences    *[]string `json:"audiences" doc:"resources it may ask tokens for; the first is the default"`
	Resources    *[]string `json:"resources" doc:"resources it is, whose tokens it may introspect"`
	TokenFormat  *string   `json:"token_format" doc:"opaque or jwt; empty: the server's"`
	Introspect   *string   `json:"introspect" doc:"own or any; empty: own"`
	AccessTTL    *int64    `json:"access_ttl" doc:"seconds, up to a day; 0: the server's"`
	RedirectURIs *[]string `json:"redirect_uris"`
	Origins      *[]string `json:"origins" doc:"of its pages, for CORS"`

	JWKS              *json.RawMessage `json:"jwks" doc:"its public keys (RFC 7517 §5), for private_key_jwt; in the place of jwks_uri"`
	JWKSURI           *string          `json:"jwks_uri" doc:"where its public keys are, for private_key_jwt: https; in the place of jwks"`
	AuthAlg           *string          `json:"auth_signing_alg" doc:"of its assertions: ES256, EdDSA, RS256 or PS256 for private_key_jwt, HS256 for client_secret_jwt"`
	PostLogoutURIs    *[]string        `json:"post_logout_redirect_uris"`
	BackchannelLogout *string          `json:"backchannel_logout_uri" doc:"is told when a session ends: https"`
	IDTokenAlg        *string          `json:"id_token_signing_alg" doc:"RS256, ES256 or EdDSA; empty: RS256"`
	Refresh           *string          `json:"refresh" doc:"rotate or static; empty: rotate"`
	RefreshTTL        *int64           `json:"refresh_ttl" doc:"seconds, a minute to 8760 hours; 0: the server's"`
	Trusted           *bool            `json:"trusted" doc:"users are not asked for consent: the client is your own"`
}

// apply puts what is said in the place of what was.
func (p *clientParts) apply(c *store.Client) {
	put(&c.Name, p.Name)
	put(&c.AuthMethod, p.AuthMethod)
	put(&c.TokenFormat, p.TokenFormat)
	put(&c.Introspect, p.Introspect)
	put(&c.AccessTTL, p.AccessTTL)
	put(&c.JWKS, p.JWKS)
	put(&c.JWKSURI, p.JWKSURI)
	put(&c.AuthAlg, p.AuthAlg)
	put(&c.BackchannelLogout, p.BackchannelLogout)
	put(&c.IDTokenAlg, p.IDTokenAlg)
	put(&c.Refresh, p.Refresh)
	put(&c.RefreshTTL, p.RefreshTTL)
	put(&c.Trusted, p.Trusted)
	for _, list := range []struct{ to, from *[]string }{
		{&c.Grants, p.Grants},
		{&c.Scopes, p.Scopes},
		{&c.Audiences, p.Audiences},
		{&c.Resources, p.Resources},
		{&c.RedirectURIs, p.RedirectURIs},
		{&c.Origins, p.Origins},
		{&c.PostLogoutURIs, p.PostLogoutURIs},
	} {
		if list.from != nil {
			*list.to = append([]string(nil), *list.from...) // nil when it is empty, as it comes from the store
		}
	}
}

func put[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func createClient(s *Server, c *call, in *struct {
	ID     string `json:"id" doc:"left out: a UUID"`
	Secret string `json:"secret" doc:"of 32 characters or more; left out: 256 random bits"`
	clientParts
},
) (clientMade, error) {
	client := store.Client{ID: cmp.Or(in.ID, store.NewID(time.Now()).String())}
	in.apply(&client)
	if in.Grants != nil && client.Grants == nil {
		client.Grants = []string{} // none, and not the default
	}
	if in.Scopes != nil && client.Scopes == nil {
		client.Scopes = []string{}
	}
	secret, err := oauth.Enrol(&client, in.Secret, s.Secrets)
	if err != nil {
		return clientMade{}, err
	}
	made, err := s.DB.CreateClient(c, c.Actor, client)
	if errors.Is(err, store.ErrConflict) {
		return clientMade{}, refuse(http.StatusConflict, "there is a client %q already", client.ID)
	}
	c.Status = http.StatusCreated
	return clientMade{viewClient(&made), generated(secret, in.Secret)}, err
}

// generated is the secret, unless it is one that somebody chose, and knows.
func generated(secret, chosen string) string {
	if chosen != "" {
		return ""
	}
	return secret
}

// changeClient changes the version that was asked for. A change that changes nothing is none, and no error.
func changeClient(s *Server, c *call, id string, change func(*store.Client) error) (clientView, error) {
	changed, err := s.DB.UpdateClient(c, c.Actor, id, func(client *store.Client) error {
		if err := c.matches("client", id, client.Version); err != nil {
			return err
		}
		return change(client)
	})
	switch {
	case errors.Is(err, oauth.ErrUnchanged):
		changed, err = s.DB.Client(c, id)
	case errors.Is(err, oauth.ErrNoSecret), errors.Is(err, oauth.ErrOneSecret):
		err = refuse(http.StatusConflict, "%v", err)
	}
	return viewClient(&changed), aboutClient(id, err)
}

func patchClient(s *Server, c *call, in *struct {
	ID string `path:"id"`
	clientParts
	Version int64 `json:"version" doc:"that is to be changed, like If-Match"`
},
) (clientMade, error) {
	var secret string
	changed, err := changeClient(s, c, in.ID, func(client *store.Client) (err error) {
		secret, err = oauth.Amend(client, s.Secrets, in.apply)
		return err
	})
	return clientMade{changed, secret}, err
}

func deleteClient(s *Server, c *call, in *oneClient) (struct{}, error) {
	err := s.DB.DeleteClient(c, c.Actor, in.ID, func(client *store.Client) error {
		return c.matches("client", in.ID, client.Version)
	})
	return struct{}{}, aboutClient(in.ID, err)
}

func rotateSecret(s *Server, c *call, in *struct {
	ID      string `path:"id"`
	Secret  string `json:"secret" doc:"of 32 characters or more; left out: 256 random bits"`
	Version int64  `json:"version" doc:"that is to be changed, like If-Match"`
},
) (clientMade, error) {
	secret, err := oauth.NewSecret(in.Secret)
	if err != nil {
		return clientMade{}, err
	}
	changed, err := changeClient(s, c, in.ID, func(client *store.Client) error { return oauth.Rotate(client, secret, s.Secrets) })
	return clientMade{changed, generated(secret, in.Secret)}, err
}

func retireSecret(s *Server, c *call, in *oneClient) (clientView, error) {
	return changeClient(s, c, in.ID, oauth.Retire)
}

func disableClient(s *Server, c *call, in *oneClient) (clientView, error) {
	return changeClient(s, c, in.ID, func(client *store.Client) error { return oauth.Switch(client, true) })
}

func enableClient(s *Server, c *call, in *oneClient) (clientView, error) {
	return changeClient(s, c, in.ID, func(client *store.Client) error { return oauth.Switch(client, false) })
}
