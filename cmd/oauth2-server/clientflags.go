package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// clientFlags are the flags that describe a client.
type clientFlags struct {
	name, authMethod, format, introspect string
	grants, scopes, audiences            []string
	resources, redirectURIs, origins     []string
	accessTTL, refreshTTL                time.Duration
	postLogoutURIs                       []string
	backchannelURI                       string
	keyFile, keyURI, authAlg, idTokenAlg string
	refresh                              string
	public, trusted                      bool

	keys []byte // of keyFile, once read
}

// A clientField is what one flag says of a client.
type clientField struct {
	flag  string
	field string // its name in JSON, by which store.FieldError knows it
	set   func(c *store.Client)
}

func (f *clientFlags) register(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.name, "name", "", "name for people")
	flags.StringArrayVar(&f.grants, "grant", nil, "grant types it may use: "+strings.Join(oauth.GrantTypes(), ", "))
	flags.StringArrayVar(&f.scopes, "scope", nil, "scopes it may ask for")
	flags.StringArrayVar(&f.audiences, "audience", nil, "resources it may ask tokens for; the first is the default")
	flags.StringArrayVar(&f.resources, "resource", nil, "resources it is (a gateway or API), whose tokens it may introspect: absolute URIs, or the plain names that others have as --audience")
	flags.StringVar(&f.authMethod, "auth-method", "",
		"client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt or none; default: either way of sending a secret")
	flags.BoolVar(&f.public, "public", false, "a client that cannot keep a secret, like an app or a page: the same as --auth-method none")
	flags.StringVar(&f.keyFile, "jwks", "", "file with its public keys as a JSON Web Key Set, for private_key_jwt; - reads standard input")
	flags.StringVar(&f.keyURI, "jwks-uri", "", "https URI of its public keys, in the place of --jwks")
	flags.StringVar(&f.authAlg, "auth-alg", "", "algorithm it signs assertions with: ES256, EdDSA, RS256 or PS256 for private_key_jwt, HS256 for client_secret_jwt")
	flags.StringVar(&f.format, "token-format", "", "opaque or jwt; default: the server's")
	flags.StringVar(&f.introspect, "introspect", "", "own: tokens issued to it or for a resource it is; any: all tokens; default own")
	flags.DurationVar(&f.accessTTL, "access-ttl", 0, "life of its access tokens, 1s to 24h; 0: the server's default")
	flags.StringArrayVar(&f.redirectURIs, "redirect-uri", nil, "URIs that browsers may be sent back to")
	flags.StringArrayVar(&f.origins, "origin", nil, "web origins of its pages, for CORS")
	flags.StringArrayVar(&f.postLogoutURIs, "post-logout-uri", nil, "URIs that browsers may be sent to after a logout")
	flags.StringVar(&f.backchannelURI, "backchannel-logout-uri", "", "https URI that is told when a session ends")
	flags.StringVar(&f.idTokenAlg, "id-token-alg", "", "RS256, ES256 or EdDSA; default RS256")
	flags.StringVar(&f.refresh, "refresh", "", "rotate: each refresh token is good once; static: it stays the same; default rotate")
	flags.DurationVar(&f.refreshTTL, "refresh-ttl", 0, "absolute life of a grant with a refresh token, 1m to 8760h; 0: the server's default")
	flags.BoolVar(&f.trusted, "trusted", false, "users are not asked for consent: the client is your own")
	command.MarkFlagsMutuallyExclusive("public", "auth-method")
}

// read reads the file that a flag names.
func (f *clientFlags) read(in io.Reader) (err error) {
	switch f.keyFile {
	case "":
		return nil
	case "-":
		text, err := readInput(f.keyFile, in)
		f.keys = []byte(text)
		return err
	}
	if f.keys, err = os.ReadFile(f.keyFile); err != nil {
		return fmt.Errorf("--jwks: %w", err)
	}
	return nil
}

func (f *clientFlags) fields() []clientField {
	return []clientField{
		{"name", "name", func(c *store.Client) { c.Name = f.name }},
		{"grant", "grants", func(c *store.Client) { c.Grants = split(f.grants, ", ") }},
		{"scope", "scopes", func(c *store.Client) { c.Scopes = split(f.scopes, ", ") }},
		{"audience", "audiences", func(c *store.Client) { c.Audiences = split(f.audiences, ",") }},
		{"resource", "resources", func(c *store.Client) { c.Resources = split(f.resources, ",") }},
		{"auth-method", "auth_method", func(c *store.Client) { c.AuthMethod = f.authMethod }},
		{"public", "auth_method", f.setPublic},
		{"jwks", "jwks", func(c *store.Client) { c.JWKS = f.keys }},
		{"jwks-uri", "jwks_uri", func(c *store.Client) { c.JWKSURI = f.keyURI }},
		{"auth-alg", "auth_signing_alg", func(c *store.Client) { c.AuthAlg = f.authAlg }},
		{"token-format", "token_format", func(c *store.Client) { c.TokenFormat = f.format }},
		{"introspect", "introspect", func(c *store.Client) { c.Introspect = f.introspect }},
		{"access-ttl", "access_ttl", func(c *store.Client) { c.AccessTTL = wholeSeconds(f.accessTTL) }},
		{"redirect-uri", "redirect_uris", func(c *store.Client) { c.RedirectURIs = split(f.redirectURIs, ",") }},
		{"origin", "origins", func(c *store.Client) { c.Origins = split(f.origins, ",") }},
		{"post-logout-uri", "post_logout_redirect_uris", func(c *store.Client) { c.PostLogoutURIs = split(f.postLogoutURIs, ",") }},
		{"backchannel-logout-uri", "backchannel_logout_uri", func(c *store.Client) { c.BackchannelLogout = f.backchannelURI }},
		{"id-token-alg", "id_token_signing_alg", func(c *store.Client) { c.IDTokenAlg = f.idTokenAlg }},
		{"refresh", "refresh", func(c *store.Client) { c.Refresh = f.refresh }},
		{"refresh-ttl", "refresh_ttl", func(c *store.Client) { c.RefreshTTL = wholeSeconds(f.refreshTTL) }},
		{"trusted", "trusted", func(c *store.Client) { c.Trusted = f.trusted }},
	}
}

// setPublic is for --public; --public=false lets a public client have a secret.
func (f *clientFlags) setPublic(c *store.Client) {
	switch {
	case f.public:
		c.AuthMethod = store.AuthNone
	case c.Public():
		c.AuthMethod = ""
	}
}

// apply changes what flags were given for, and reports whether any was.
func (f *clientFlags) apply(command *cobra.Command, c *store.Client) bool {
	any := false
	for _, field := range f.fields() {
		if command.Flags().Changed(field.flag) {
			field.set(c)
			any = true
		}
	}
	return any
}

// refused says all that is wrong with a client, by the names of the flags.
func (f *clientFlags) refused(err error) error {
	var text strings.Builder
	text.WriteString("the client is refused:")
	for _, line := range strings.Split(f.inFlags(err), "\n") {
		text.WriteString("\n  " + line)
	}
	return errors.New(text.String())
}

// inFlags is the text of an error, with flags in the place of fields.
func (f *clientFlags) inFlags(err error) string {
	if many, ok := err.(interface{ Unwrap() []error }); ok { // what errors.Join makes
		var lines []string
		for _, one := range many.Unwrap() {
			lines = append(lines, f.inFlags(one))
		}
		return strings.Join(lines, "\n")
	}
	fault, ok := errors.AsType[*store.FieldError](err)
	if !ok {
		return err.Error()
	}
	for _, field := range f.fields() {
		if field.field == fault.Field {
			return fmt.Sprintf("--%s: %s", field.flag, fault.Problem)
		}
	}
	return "--" + fault.Error() // id, secret
}

// wholeSeconds is the life in seconds; -1, which no client may have, when it has a fraction.
func wholeSeconds(life time.Duration) int64 {
	if life%time.Second != 0 {
		return -1
	}
	return int64(life / time.Second)
}

// split is the values of a flag that may be repeated, each a list with any of the separators; every value once.
func split(given []string, separators string) []string {
	var values []string
	for _, one := range given {
		for _, value := range strings.FieldsFunc(one, func(c rune) bool { return strings.ContainsRune(separators, c) }) {
			if value = strings.TrimSpace(value); value != "" && !slices.Contains(values, value) {
				values = append(values, value)
			}
		}
	}
	return values
}
