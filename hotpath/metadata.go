package hotpath

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// serverMetadata is RFC 8414 §2, OpenID Connect Discovery §3 and the documents named below: only what works.
type serverMetadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	TokenMethods          []string `json:"token_endpoint_auth_methods_supported"`
	TokenAlgs             []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	PushedEndpoint        string   `json:"pushed_authorization_request_endpoint"` // RFC 9126 §5
	PushedOnly            bool     `json:"require_pushed_authorization_requests"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	IntrospectionMethods  []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAlgs     []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	RevocationMethods     []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAlgs        []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"` // RP-Initiated Logout 1.0 §2.1
	JWKSURI               string   `json:"jwks_uri"`

	Scopes         []string   `json:"scopes_supported"` // those with a meaning here; clients have others of their own
	Claims         []string   `json:"claims_supported"`
	GrantTypes     []string   `json:"grant_types_supported"`
	ResponseTypes  []string   `json:"response_types_supported"`
	ResponseModes  []string   `json:"response_modes_supported"`
	Challenges     []string   `json:"code_challenge_methods_supported"`
	Prompts        []string   `json:"prompt_values_supported"` // Initiating User Registration 1.0 §3.1
	SubjectTypes   []string   `json:"subject_types_supported"`
	IDTokenAlgs    []keys.Alg `json:"id_token_signing_alg_values_supported"`
	IssuerInAnswer bool       `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
	LogoutByServer bool       `json:"backchannel_logout_supported"`                   // Back-Channel Logout 1.0 §2.1
	LogoutSession  bool       `json:"backchannel_logout_session_supported"`
	ClaimsRequests bool       `json:"claims_parameter_supported"`
	RequestObjects bool       `json:"request_parameter_supported"`
	RequestURIs    bool       `json:"request_uri_parameter_supported"` // of others; what was pushed here is no such URI
}

// document is a prepared body with its validator (RFC 9110 §8.8.3).
type document struct {
	body []byte
	etag string
}

func newMetadata(issuer string) document {
	at := func(id routeID) string { return issuer + routes[id].path }
	proved := []string{store.AuthBasic, store.AuthPost, store.AuthPrivateKeyJWT, store.AuthClientSecretJWT}
	all := append(slices.Clone(proved), store.AuthNone)
	algs := append(oauth.AssertionAlgs(store.AuthPrivateKeyJWT), oauth.AssertionAlgs(store.AuthClientSecretJWT)...)
	body, err := json.Marshal(serverMetadata{
		Issuer:                issuer,
		AuthorizationEndpoint: at(routeAuthorize),
		TokenEndpoint:         at(routeToken), TokenMethods: all, TokenAlgs: algs,
		PushedEndpoint:        at(routePush),
		IntrospectionEndpoint: at(routeIntrospect), IntrospectionMethods: proved, IntrospectionAlgs: algs,
		RevocationEndpoint: at(routeRevoke), RevocationMethods: all, RevocationAlgs: algs,
		UserInfoEndpoint:   at(routeUserInfo),
		EndSessionEndpoint: at(routeLogout),
		JWKSURI:            at(routeJWKS),
		Scopes:             oauth.Scopes(),
		Claims:             oauth.Claims(),
		GrantTypes:         oauth.GrantTypes(),
		ResponseTypes:      []string{"code"},
		ResponseModes:      []string{"query", "form_post"},
		Challenges:         []string{"S256"},
		Prompts:            []string{"none", "login", "consent", "select_account"},
		SubjectTypes:       []string{"public"},
		IDTokenAlgs:        keys.IDTokenAlgs(),
		IssuerInAnswer:     true,
		LogoutByServer:     true,
		LogoutSession:      true,
	})
	if err != nil {
		panic(fmt.Sprintf("BUG: write metadata: %v", err))
	}
	digest := sha256.Sum256(body)
	return document{body, `"` + base64.RawURLEncoding.EncodeToString(digest[:12]) + `"`}
}

const (
	metadataAge = "public, max-age=3600"
	// jwksAge stays well below the time that a next key is published before it signs.
	jwksAge = "public, max-age=300"
)

// metadata serves the server's metadata (RFC 8414 §3, OpenID Connect Discovery §4).
func (s *Server) metadata(ctx *fasthttp.RequestCtx, _ *exchange) error {
	writePublic(ctx, s.discovery.body, s.discovery.etag, metadataAge)
	return nil
}

// jwks serves the public keys (RFC 7517 §5).
func (s *Server) jwks(ctx *fasthttp.RequestCtx, _ *exchange) error {
	set := s.ring.JWKS()
	writePublic(ctx, set.Body, set.ETag, jwksAge)
	return nil
}

// writePublic answers with a prepared body that caches may keep, or says that theirs is still good.
func writePublic(ctx *fasthttp.RequestCtx, body []byte, etag, age string) {
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderCacheControl, age)
	h.Set(fasthttp.HeaderETag, etag)
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	if matches(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch), etag) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	h.SetContentType("application/json")
	ctx.Response.SetBodyRaw(body)
}

// matches reports whether an If-None-Match header names the ETag (RFC 9110 §13.1.2): a list, compared weakly, or any.
func matches(header []byte, etag string) bool {
	for len(header) > 0 {
		var one []byte
		one, header, _ = bytes.Cut(header, comma)
		one = bytes.TrimPrefix(trimBlank(one), weak)
		if string(one) == etag || string(one) == "*" {
			return true
		}
	}
	return false
}

var (
	comma = []byte(",")
	weak  = []byte("W/")
)
