package store

import (
	"errors"
	"strings"
	"testing"
)

var testGrants = []string{"client_credentials"}

// good is a client that is right in every part.
func good() Client {
	return Client{
		ID: "billing-1", Name: "Rechnungen ✓", Secrets: []SecretHash{{1}}, AuthMethod: AuthBasic, Grants: testGrants,
		Scopes: []string{"read", "write:all"}, Audiences: []string{"https://api.example.com/v1?x=y", "urn:example:api", "api"},
		Resources: []string{"https://api.example.com/v1"}, TokenFormat: FormatJWT, Introspect: IntrospectAny, AccessTTL: 86400,
		RedirectURIs: []string{"https://app.example.com/cb?x=1", "http://127.0.0.1:8000/cb", "http://[::1]/cb", "http://localhost/cb", "com.example.app:/cb"},
		Origins:      []string{"https://app.example.com", "http://localhost:3000", "https://[::1]:8443"},
	}
}

func TestValidateAcceptsAGoodClient(t *testing.T) {
	c := good()
	if err := c.Validate(testGrants); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	bare := Client{ID: "x", Secrets: []SecretHash{{1}}}
	if err := bare.Validate(nil); err != nil {
		t.Errorf("bare client: got %v, want nil", err)
	}
}

func TestValidateRefuses(t *testing.T) {
	long := strings.Repeat("a", 2049)
	for name, test := range map[string]struct {
		spoil func(c *Client)
		field string
	}{
		"empty id":                  {func(c *Client) { c.ID = "" }, "id"},
		"long id":                   {func(c *Client) { c.ID = long[:129] }, "id"},
		"id with a space":           {func(c *Client) { c.ID = "a b" }, "id"},
		"id with a control":         {func(c *Client) { c.ID = "a\x7f" }, "id"},
		"id beyond ASCII":           {func(c *Client) { c.ID = "ä" }, "id"},
		"name with an escape":       {func(c *Client) { c.Name = "\x1b[2J" }, "name"},
		"name that is not UTF-8":    {func(c *Client) { c.Name = "\xff" }, "name"},
		"name that turns its text":  {func(c *Client) { c.Name = "Bank \u202egro.live" }, "name"},
		"name isolated":             {func(c *Client) { c.Name = "\u2068Bank" }, "name"},
		"name with nothing seen":    {func(c *Client) { c.Name = "Ba\u200bnk" }, "name"},
		"name with a joiner":        {func(c *Client) { c.Name = "Ba\u200dnk" }, "name"},
		"name with a byte order":    {func(c *Client) { c.Name = "\ufeffBank" }, "name"},
		"name with a tag":           {func(c *Client) { c.Name = "Bank\U000e0041" }, "name"},
		"name of two lines":         {func(c *Client) { c.Name = "Bank\u2028Allow" }, "name"},
		"long name":                 {func(c *Client) { c.Name = long[:201] }, "name"},
		"no secret":                 {func(c *Client) { c.Secrets = nil }, "auth_method"},
		"three secrets":             {func(c *Client) { c.Secrets = make([]SecretHash, 3) }, "secret"},
		"unknown method":            {func(c *Client) { c.AuthMethod = "tls" }, "auth_method"},
		"public with a secret":      {func(c *Client) { c.AuthMethod, c.Grants, c.Introspect = AuthNone, nil, "" }, "secret"},
		"public that sees any":      {func(c *Client) { c.AuthMethod, c.Grants, c.Secrets = AuthNone, nil, nil }, "introspect"},
		"public client_credentials": {func(c *Client) { c.AuthMethod, c.Introspect, c.Secrets = AuthNone, "", nil }, "grants"},
		"unknown grant":             {func(c *Client) { c.Grants = []string{"password"} }, "grants"},
		"scope with a quote":        {func(c *Client) { c.Scopes = []string{`a"b`} }, "scopes"},
		"scope with a backslash":    {func(c *Client) { c.Scopes = []string{`a\b`} }, "scopes"},
		"empty scope":               {func(c *Client) { c.Scopes = []string{""} }, "scopes"},
		"scope beyond ASCII":        {func(c *Client) { c.Scopes = []string{"é"} }, "scopes"},
		"too many scopes":           {func(c *Client) { c.Scopes = []string{long} }, "scopes"},
		"audience with a fragment":  {func(c *Client) { c.Audiences = []string{"https://a.example.com/#x"} }, "audiences"},
		"audience, empty fragment":  {func(c *Client) { c.Audiences = []string{"https://a.example.com/#"} }, "audiences"},
		"audience with a space":     {func(c *Client) { c.Audiences = []string{"a b"} }, "audiences"},
		"audience without host":     {func(c *Client) { c.Audiences = []string{"https://"} }, "audiences"},
		"too many audiences":        {func(c *Client) { c.Audiences = []string{long} }, "audiences"},
		"resource with a quote":     {func(c *Client) { c.Resources = []string{`a"`} }, "resources"},
		"long resource":             {func(c *Client) { c.Resources = []string{long} }, "resources"},
		"unknown format":            {func(c *Client) { c.TokenFormat = "JWT" }, "token_format"},
		"unknown introspect":        {func(c *Client) { c.Introspect = "all" }, "introspect"},
		"negative life":             {func(c *Client) { c.AccessTTL = -1 }, "access_ttl"},
		"life over a day":           {func(c *Client) { c.AccessTTL = 86401 }, "access_ttl"},
		"javascript":                {func(c *Client) { c.RedirectURIs = []string{"JaVaScRiPt:alert(1)"} }, "redirect_uris"},
		"data":                      {func(c *Client) { c.RedirectURIs = []string{"data:text/html,x"} }, "redirect_uris"},
		"redirect over http":        {func(c *Client) { c.RedirectURIs = []string{"http://app.example.com/cb"} }, "redirect_uris"},
		"redirect to a loop-alike":  {func(c *Client) { c.RedirectURIs = []string{"http://127.0.0.1.example.com/"} }, "redirect_uris"},
		"redirect with a fragment":  {func(c *Client) { c.RedirectURIs = []string{"https://app.example.com/#"} }, "redirect_uris"},
		"redirect with a user":      {func(c *Client) { c.RedirectURIs = []string{"https://good.example@evil.example/"} }, "redirect_uris"},
		"redirect with a wildcard":  {func(c *Client) { c.RedirectURIs = []string{"https://*.example.com/"} }, "redirect_uris"},
		"redirect with a backslash": {func(c *Client) { c.RedirectURIs = []string{`https://good.example\@evil.example/`} }, "redirect_uris"},
		"relative redirect":         {func(c *Client) { c.RedirectURIs = []string{"/cb"} }, "redirect_uris"},
		"scheme without a dot":      {func(c *Client) { c.RedirectURIs = []string{"myapp:/cb"} }, "redirect_uris"},
		"too many redirects":        {func(c *Client) { c.RedirectURIs = make([]string, 101) }, "redirect_uris"},
		"origin null":               {func(c *Client) { c.Origins = []string{"null"} }, "origins"},
		"origin wildcard":           {func(c *Client) { c.Origins = []string{"https://*.example.com"} }, "origins"},
		"origin with a slash":       {func(c *Client) { c.Origins = []string{"https://app.example.com/"} }, "origins"},
		"origin in upper case":      {func(c *Client) { c.Origins = []string{"https://App.example.com"} }, "origins"},
		"origin, default port":      {func(c *Client) { c.Origins = []string{"https://app.example.com:443"} }, "origins"},
		"origin, empty port":        {func(c *Client) { c.Origins = []string{"https://app.example.com:"} }, "origins"},
		"origin with a user":        {func(c *Client) { c.Origins = []string{"https://u@app.example.com"} }, "origins"},
		"origin of a file":          {func(c *Client) { c.Origins = []string{"file://x"} }, "origins"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good()
			test.spoil(&c)
			err := c.Validate(testGrants)
			fault, ok := errors.AsType[*FieldError](err)
			if !ok || fault.Field != test.field {
				t.Errorf("got %v, want a fault of %s", err, test.field)
			}
		})
	}
}

func TestValidateTellsAllFaultsAtOnce(t *testing.T) {
	c := good()
	c.ID, c.Scopes, c.AccessTTL = "a b", []string{`"`}, -1
	err := c.Validate(testGrants)
	for _, field := range []string{"id: ", "scopes: ", "access_ttl: "} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("got %v, want it to hold %q", err, field)
		}
	}
}

func TestCheckSecret(t *testing.T) {
	if err := CheckSecret(NewSecret()); err != nil {
		t.Errorf("a generated secret: got %v, want nil", err)
	}
	if one, other := NewSecret(), NewSecret(); one == other {
		t.Error("two generated secrets are alike")
	}
	abc := "abcdefghijklmnopqrstuvwxyz"
	for name, secret := range map[string]string{
		"empty": "", "31 characters": (abc + abc)[:31], "257 characters": strings.Repeat(abc, 10)[:257],
		"space": abc + " " + abc, "control": abc + "\n" + abc, "not ASCII": abc + "ä" + abc, "a pattern": strings.Repeat("abc", 20),
	} {
		if CheckSecret(secret) == nil {
			t.Errorf("%s: accepted", name)
		} else if secret != "" && strings.Contains(CheckSecret(secret).Error(), secret) {
			t.Errorf("%s: the error repeats the secret", name)
		}
	}
	if err := CheckSecret((abc + abc)[:32]); err != nil {
		t.Errorf("32 characters: got %v, want nil", err)
	}
}

func FuzzValidate(f *testing.F) {
	f.Add("https://app.example.com/cb")
	f.Add("javascript:alert(1)")
	f.Add("com.example.app:/cb")
	f.Add("https://a.example#x")
	f.Fuzz(func(t *testing.T, text string) {
		if IsRedirectURI(text) && (strings.ContainsAny(text, "#\\\"<> \r\n\t") || strings.HasPrefix(strings.ToLower(text), "javascript:") || strings.HasPrefix(strings.ToLower(text), "data:")) {
			t.Errorf("redirect URI %q is accepted", text)
		}
		if IsOrigin(text) && (text != strings.ToLower(text) || strings.Count(text, "/") != 2) {
			t.Errorf("origin %q is accepted", text)
		}
		if IsResource(text) && strings.ContainsAny(text, " #\"\\") {
			t.Errorf("resource %q is accepted", text)
		}
	})
}
