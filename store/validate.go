package store

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of a client. With them its largest token stays below 8 KiB as a JWT, and below the 65,535 bytes
// of a field as a [Record].
const (
	maxClientID    = 128  // bytes
	maxClientName  = 200  // bytes
	maxWords       = 2048 // bytes of all scopes, or all audiences, with a space between them
	maxClientURIs  = 100  // redirect URIs, origins or resources
	maxURIBytes    = 2048 // bytes of one of them
	maxSecretCount = 2    // two overlap while one is rotated
	maxKeySetBytes = 16 << 10
)

// Bounds of the life of a grant with a refresh token, in seconds.
const (
	MinRefreshTTL = 60
	MaxRefreshTTL = 8760 * 60 * 60
)

// A FieldError is one fault of a client: what is wrong with which field.
type FieldError struct {
	Field   string // its name in JSON; of a secret just that
	Problem string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// Validate says all that is wrong with a client that is to be registered, as
// joined errors of type [*FieldError]; nil when nothing is. grants are the grant types that work.
func (c *Client) Validate(grants []string) error {
	v := validator{client: c}
	v.identity()
	v.authentication()
	v.grants(grants)
	v.tokens()
	v.refresh()
	v.browser()
	v.logout()
	return errors.Join(v.faults...)
}

// A validator gathers the faults of a client.
type validator struct {
	client *Client
	faults []error
}

// refuse adds a fault if there is one.
func (v *validator) refuse(bad bool, field, format string, args ...any) {
	if bad {
		v.faults = append(v.faults, &FieldError{field, fmt.Sprintf(format, args...)})
	}
}

// each adds a fault for every value of a list that is not right.
func (v *validator) each(field string, list []string, right func(string) bool, problem string) {
	for _, value := range list {
		v.refuse(!right(value), field, "%.80q %s", value, problem)
	}
}

func (v *validator) identity() {
	c := v.client
	v.refuse(len(c.ID) == 0 || len(c.ID) > maxClientID, "id", "must have 1 to %d characters", maxClientID)
	// RFC 6749 A.1, without the space: it gets lost in lists and logs.
	v.refuse(!isWord(c.ID, ""), "id", "must be of visible ASCII without spaces")
	v.refuse(len(c.Name) > maxClientName, "name", "must have at most %d bytes", maxClientName)
	v.refuse(!isText(c.Name), "name", "must be UTF-8 without control characters, and without such as are not seen or turn the direction of the text (Unicode Cc, Cf, Zl, Zp)")
}

func (v *validator) authentication() {
	c := v.client
	switch c.AuthMethod {
	case "", AuthBasic, AuthPost:
		v.refuse(len(c.Secrets) == 0, "auth_method", "a client that authenticates needs a secret; without one it is %q", AuthNone)
		v.refuse(len(c.Secrets) > maxSecretCount, "secret", "must be at most %d", maxSecretCount)
	case AuthNone:
		v.refuse(c.Introspect == IntrospectAny, "introspect", "a client that does not authenticate sees no tokens of others (RFC 7662 §2.1)")
	case AuthPrivateKeyJWT:
		v.oneOf("auth_signing_alg", c.AuthAlg, privateKeyAlgs)
		v.refuse((len(c.JWKS) == 0) == (c.JWKSURI == ""), "jwks", "a client of the method %q has either jwks or jwks_uri", AuthPrivateKeyJWT)
	case AuthClientSecretJWT:
		v.oneOf("auth_signing_alg", c.AuthAlg, []string{"HS256"})
		v.refuse(len(c.SealedSecret) == 0, "secret", "a client of the method %q needs one, sealed", AuthClientSecretJWT)
	default:
		v.refuse(true, "auth_method", "must be one of %s", strings.Join(authMethods, ", "))
		return
	}
	v.leftovers()
}

var (
	authMethods    = []string{AuthBasic, AuthPost, AuthNone, AuthPrivateKeyJWT, AuthClientSecretJWT}
	privateKeyAlgs = []string{"ES256", "EdDSA", "RS256", "PS256"}
	idTokenAlgs    = []string{"", "RS256", "ES256", "EdDSA"}
)

// leftovers refuses credentials of other methods than the client's: which of two ways proves it would be open to doubt.
func (v *validator) leftovers() {
	c := v.client
	byKey, byJWT := c.AuthMethod == AuthPrivateKeyJWT, c.AuthMethod == AuthClientSecretJWT
	const foreign = "is not for a client of the method %q"
	v.refuse(len(c.Secrets) > 0 && (byKey || byJWT || c.Public()), "secret", foreign, c.AuthMethod)
	v.refuse(len(c.SealedSecret) > 0 && !byJWT, "secret", "is sealed, which "+foreign, c.AuthMethod)
	v.refuse(c.AuthAlg != "" && !byKey && !byJWT, "auth_signing_alg", foreign, c.AuthMethod)
	v.refuse(len(c.JWKS) > 0 && !byKey, "jwks", foreign, c.AuthMethod)
	v.refuse(len(c.JWKS) > maxKeySetBytes, "jwks", "must have at most %d bytes", maxKeySetBytes)
	v.refuse(c.JWKSURI != "" && !byKey, "jwks_uri", foreign, c.AuthMethod)
	v.refuse(c.JWKSURI != "" && !isHTTPS(c.JWKSURI), "jwks_uri", notHTTPS)
}

const notHTTPS = "must be an https URI without user and fragment, of at most 2048 bytes"

// oneOf refuses a value that is none of those there are.
func (v *validator) oneOf(field, value string, known []string) {
	names := strings.Join(known, ", ")
	v.refuse(!slices.Contains(known, value), field, "must be one of %s", strings.TrimPrefix(names, ", "))
}

func (v *validator) grants(known []string) {
	c := v.client
	v.each("grants", c.Grants, func(grant string) bool { return slices.Contains(known, grant) },
		"is none of "+strings.Join(known, ", "))
	v.refuse(c.Public() && c.MayUse("client_credentials"), "grants",
		"client_credentials needs a client that authenticates (RFC 6749 §4.4)")
	v.refuse(c.MayUse("authorization_code") && len(c.RedirectURIs) == 0, "redirect_uris",
		"authorization_code needs one (RFC 9700 §2.1)")
	v.refuse(c.MayUse("refresh_token") && !c.MayUse("authorization_code"), "grants",
		"refresh_token needs authorization_code, which makes refresh tokens")
}

func (v *validator) tokens() {
	c := v.client
	v.each("scopes", c.Scopes, IsScope, "is no scope: visible ASCII without space, quote and backslash (RFC 6749 §3.3)")
	v.refuse(joined(c.Scopes) > maxWords, "scopes", "must have at most %d bytes together", maxWords)
	v.each("audiences", c.Audiences, IsResource, notResource)
	v.refuse(joined(c.Audiences) > maxWords, "audiences", "must have at most %d bytes together", maxWords)
	v.each("resources", c.Resources, IsResource, notResource)
	v.count("resources", c.Resources)
	v.refuse(!slices.Contains([]string{"", FormatOpaque, FormatJWT}, c.TokenFormat), "token_format", "must be %s or %s", FormatOpaque, FormatJWT)
	v.oneOf("id_token_signing_alg", c.IDTokenAlg, idTokenAlgs)
	v.refuse(!slices.Contains([]string{"", IntrospectOwn, IntrospectAny}, c.Introspect), "introspect", "must be %s or %s", IntrospectOwn, IntrospectAny)
	v.refuse(c.AccessTTL < 0 || c.AccessTTL > int64(MaxTokenLife/time.Second), "access_ttl", "must be 1s to %s", MaxTokenLife)
}

const notResource = "is no resource: an absolute URI without fragment (RFC 8707 §2) or a name without spaces"

func (v *validator) refresh() {
	c := v.client
	v.refuse(!slices.Contains([]string{"", RefreshRotate, RefreshStatic}, c.Refresh), "refresh", "must be %s or %s", RefreshRotate, RefreshStatic)
	v.refuse(c.Refresh == RefreshStatic && c.Public(), "refresh",
		"must rotate for a client that does not authenticate: nothing else protects its refresh tokens (RFC 9700 §2.2.2)")
	v.refuse(c.RefreshTTL != 0 && (c.RefreshTTL < MinRefreshTTL || c.RefreshTTL > MaxRefreshTTL), "refresh_ttl", "must be 1m to 8760h, or 0 for the server's default")
}

const notRedirect = "is refused: https, http on a loopback address, or a private scheme with a dot; no fragment, user or wildcard"

func (v *validator) browser() {
	c := v.client
	v.each("redirect_uris", c.RedirectURIs, IsRedirectURI, notRedirect)
	v.count("redirect_uris", c.RedirectURIs)
	v.each("origins", c.Origins, IsOrigin, "is no origin: scheme://host or scheme://host:port, as a browser sends it")
	v.count("origins", c.Origins)
	app := slices.ContainsFunc(c.RedirectURIs, func(uri string) bool { return !strings.HasPrefix(strings.ToLower(uri), "https:") })
	v.refuse(c.Trusted && c.Public() && app, "trusted",
		"a client that any program on the user's device can pretend to be must ask the user (RFC 8252 §8.6): give it https redirect URIs only, or a secret")
}

func (v *validator) logout() {
	c := v.client
	v.each("post_logout_redirect_uris", c.PostLogoutURIs, IsRedirectURI, notRedirect)
	v.count("post_logout_redirect_uris", c.PostLogoutURIs)
	v.refuse(c.BackchannelLogout != "" && !isHTTPS(c.BackchannelLogout), "backchannel_logout_uri", notHTTPS)
}

// count bounds a list of URIs.
func (v *validator) count(field string, list []string) {
	v.refuse(len(list) > maxClientURIs, field, "must be at most %d", maxClientURIs)
	long := slices.ContainsFunc(list, func(uri string) bool { return len(uri) > maxURIBytes })
	v.refuse(long, field, "must have at most %d bytes each", maxURIBytes)
}

// joined is the length of the words with a space between them.
func joined(words []string) int { return len(strings.Join(words, " ")) }

// isWord reports whether text is of visible ASCII without spaces and without the bytes in except.
func isWord(text, except string) bool {
	for i := range len(text) {
		if text[i] < 0x21 || text[i] > 0x7e || strings.IndexByte(except, text[i]) >= 0 {
			return false
		}
	}
	return true
}

// isText reports whether text shows as what it is: no control characters, and none that are not seen, end a line or turn the
// direction of what follows, by which a client's name could pass for another's on the page that asks for consent. Joiners, which some
// scripts write inside words, are of them.
func isText(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) })
}

// IsScope reports whether text is a scope-token (RFC 6749 §3.3).
func IsScope(text string) bool { return text != "" && isWord(text, `"\`) }

// IsResource reports whether text can name a resource: an absolute URI without
// fragment (RFC 8707 §2), or a plain name.
func IsResource(text string) bool {
	if text == "" || !isWord(text, `"\#`) {
		return false
	}
	if !strings.Contains(text, ":") {
		return true
	}
	u, err := url.Parse(text)
	return err == nil && u.IsAbs() && (u.Host != "" || u.Opaque != "")
}

// IsRedirectURI reports whether a browser may be sent to text: https anywhere, http on this very machine
// (RFC 8252 §7.3), or a private-use scheme, which has a dot (§7.1) and so never is javascript or data. A
// fragment (RFC 6749 §3.1.2), a user and a wildcard are refused.
func IsRedirectURI(text string) bool {
	u, err := url.Parse(text)
	if err != nil || !isWord(text, `"\#<>`) || u.User != nil || strings.Contains(u.Host, "*") {
		return false
	}
	switch u.Scheme {
	case "https":
		return u.Hostname() != ""
	case "http":
		return isLoopback(u.Hostname())
	}
	return strings.Contains(u.Scheme, ".")
}

// isHTTPS reports whether the server may be sent to text by itself: https, without user and fragment.
func isHTTPS(text string) bool {
	u, err := url.Parse(text)
	return err == nil && len(text) <= maxURIBytes && isWord(text, `"\#<>`) && u.Scheme == "https" && u.Hostname() != "" && u.User == nil
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// IsOrigin reports whether text is an origin as browsers send it (RFC 6454 §6.2): lower case, no default port, nothing
// behind the port. It is compared byte for byte, so every other spelling would never match.
func IsOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || !isWord(text, `"\`) || u.Hostname() == "" || strings.Contains(u.Host, "*") {
		return false
	}
	standard := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return standard != "" && u.Port() != standard && !strings.HasSuffix(u.Host, ":") &&
		text == u.Scheme+"://"+strings.ToLower(u.Host)
}
