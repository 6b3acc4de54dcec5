package store

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

var peopleGrants = []string{"client_credentials", "authorization_code", "refresh_token"}

// app is a client that signs people in, right in every part.
func app() Client {
	return Client{
		ID: "app", Secrets: []SecretHash{{1}}, Grants: peopleGrants, Scopes: []string{"openid", "offline_access"},
		RedirectURIs: []string{"https://app.example.com/cb"}, PostLogoutURIs: []string{"https://app.example.com/bye", "http://127.0.0.1/bye"},
		BackchannelLogout: "https://app.example.com/logout?x=1", IDTokenAlg: "EdDSA", Refresh: RefreshStatic, RefreshTTL: MaxRefreshTTL, Trusted: true,
	}
}

// byKey is an app that authenticates with a key of its own, bySeal with a secret as the key.
func byKey(c *Client) {
	c.Secrets, c.AuthMethod, c.AuthAlg, c.JWKSURI = nil, AuthPrivateKeyJWT, "ES256", "https://app.example.com/jwks"
}

func bySeal(c *Client) {
	c.Secrets, c.AuthMethod, c.AuthAlg, c.SealedSecret = nil, AuthClientSecretJWT, "HS256", []byte{1}
}

func public(c *Client) {
	c.Secrets, c.AuthMethod, c.Refresh, c.Grants = nil, AuthNone, "", peopleGrants[1:]
}

func TestValidateAcceptsAppsOfEachMethod(t *testing.T) {
	for name, change := range map[string]func(*Client){
		"with a secret": func(*Client) {}, "with keys": byKey, "with a sealed secret": bySeal, "public": public,
		"with inline keys":             func(c *Client) { byKey(c); c.JWKSURI, c.JWKS = "", []byte(`{"keys":[]}`) },
		"without refresh":              func(c *Client) { c.Grants = peopleGrants[:2] },
		"public, and asks":             func(c *Client) { public(c); c.Trusted, c.RedirectURIs = false, []string{"http://127.0.0.1/cb"} },
		"trusted, loopback, a secret":  func(c *Client) { c.RedirectURIs = []string{"http://127.0.0.1/cb"} },
		"least life, of the default":   func(c *Client) { c.RefreshTTL, c.Refresh, c.IDTokenAlg = MinRefreshTTL, RefreshRotate, "RS256" },
		"without a life of its tokens": func(c *Client) { c.RefreshTTL, c.IDTokenAlg = 0, "" },
	} {
		c := app()
		change(&c)
		if err := c.Validate(peopleGrants); err != nil {
			t.Errorf("%s: got %v, want nil", name, err)
		}
	}
}

func TestValidateRefusesApps(t *testing.T) {
	keyed := func(spoil func(*Client)) func(*Client) { return func(c *Client) { byKey(c); spoil(c) } }
	sealed := func(spoil func(*Client)) func(*Client) { return func(c *Client) { bySeal(c); spoil(c) } }
	long := "https://app.example.com/" + strings.Repeat("a", 2048)
	for name, test := range map[string]struct {
		spoil func(c *Client)
		field string
	}{
		"code flow without redirect URI": {func(c *Client) { c.RedirectURIs = nil }, "redirect_uris"},
		"refresh without code":           {func(c *Client) { c.Grants = []string{"client_credentials", "refresh_token"} }, "grants"},
		"public client_credentials":      {func(c *Client) { public(c); c.Grants = peopleGrants }, "grants"},
		"RFC 9700 §2.2.2 public, static": {func(c *Client) { public(c); c.Refresh = RefreshStatic }, "refresh"},
		"RFC 8252 §8.6 trusted app":      {func(c *Client) { public(c); c.RedirectURIs = []string{"com.example.app:/cb"} }, "trusted"},
		"unknown refresh":                {func(c *Client) { c.Refresh = "never" }, "refresh"},
		"refresh_ttl under a minute":     {func(c *Client) { c.RefreshTTL = 59 }, "refresh_ttl"},
		"negative refresh_ttl":           {func(c *Client) { c.RefreshTTL = -1 }, "refresh_ttl"},
		"refresh_ttl over a year":        {func(c *Client) { c.RefreshTTL = MaxRefreshTTL + 1 }, "refresh_ttl"},
		"id_token of none":               {func(c *Client) { c.IDTokenAlg = "none" }, "id_token_signing_alg"},
		"id_token of HS256":              {func(c *Client) { c.IDTokenAlg = "HS256" }, "id_token_signing_alg"},
		"post-logout over http":          {func(c *Client) { c.PostLogoutURIs = []string{"http://app.example.com/"} }, "post_logout_redirect_uris"},
		"post-logout script":             {func(c *Client) { c.PostLogoutURIs = []string{"javascript:alert(1)"} }, "post_logout_redirect_uris"},
		"too many post-logout URIs":      {func(c *Client) { c.PostLogoutURIs = slices.Repeat([]string{"https://app.example.com/"}, 101) }, "post_logout_redirect_uris"},
		"back-channel over http":         {func(c *Client) { c.BackchannelLogout = "http://127.0.0.1/" }, "backchannel_logout_uri"},
		"back-channel with a fragment":   {func(c *Client) { c.BackchannelLogout = "https://app.example.com/#x" }, "backchannel_logout_uri"},
		"back-channel with a user":       {func(c *Client) { c.BackchannelLogout = "https://u@app.example.com/" }, "backchannel_logout_uri"},
		"back-channel without a host":    {func(c *Client) { c.BackchannelLogout = "https:///x" }, "backchannel_logout_uri"},
		"long back-channel":              {func(c *Client) { c.BackchannelLogout = long }, "backchannel_logout_uri"},
		"no algorithm":                   {keyed(func(c *Client) { c.AuthAlg = "" }), "auth_signing_alg"},
		"algorithm none":                 {keyed(func(c *Client) { c.AuthAlg = "none" }), "auth_signing_alg"},
		"HS256 with a public key":        {keyed(func(c *Client) { c.AuthAlg = "HS256" }), "auth_signing_alg"},
		"ES256 with a secret":            {sealed(func(c *Client) { c.AuthAlg = "ES256" }), "auth_signing_alg"},
		"neither jwks nor jwks_uri":      {keyed(func(c *Client) { c.JWKSURI = "" }), "jwks"},
		"both jwks and jwks_uri":         {keyed(func(c *Client) { c.JWKS = []byte(`{"keys":[]}`) }), "jwks"},
		"large jwks":                     {keyed(func(c *Client) { c.JWKSURI, c.JWKS = "", make([]byte, 16<<10+1) }), "jwks"},
		"jwks_uri over http":             {keyed(func(c *Client) { c.JWKSURI = "http://app.example.com/jwks" }), "jwks_uri"},
		"jwks_uri of a file":             {keyed(func(c *Client) { c.JWKSURI = "file:///etc/passwd" }), "jwks_uri"},
		"jwks_uri with a user":           {keyed(func(c *Client) { c.JWKSURI = "https://u:p@app.example.com/jwks" }), "jwks_uri"},
		"jwks_uri with a fragment":       {keyed(func(c *Client) { c.JWKSURI = "https://app.example.com/jwks#" }), "jwks_uri"},
		"key and secret":                 {keyed(func(c *Client) { c.Secrets = []SecretHash{{1}} }), "secret"},
		"key and sealed secret":          {keyed(func(c *Client) { c.SealedSecret = []byte{1} }), "secret"},
		"no sealed secret":               {sealed(func(c *Client) { c.SealedSecret = nil }), "secret"},
		"sealed secret and hash":         {sealed(func(c *Client) { c.Secrets = []SecretHash{{1}} }), "secret"},
		"sealed secret and keys":         {sealed(func(c *Client) { c.JWKSURI = "https://app.example.com/jwks" }), "jwks_uri"},
		"secret, and keys inline":        {func(c *Client) { c.JWKS = []byte(`{"keys":[]}`) }, "jwks"},
		"secret, and an algorithm":       {func(c *Client) { c.AuthAlg = "ES256" }, "auth_signing_alg"},
		"secret, sealed too":             {func(c *Client) { c.SealedSecret = []byte{1} }, "secret"},
		"public with a sealed secret":    {func(c *Client) { public(c); c.SealedSecret = []byte{1} }, "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			c := app()
			test.spoil(&c)
			err := c.Validate(peopleGrants)
			fault, ok := errors.AsType[*FieldError](err)
			if !ok || fault.Field != test.field || strings.Count(err.Error(), "\n") != 0 {
				t.Errorf("got %v, want one fault, of %s", err, test.field)
			}
		})
	}
}
