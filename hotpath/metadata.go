package hotpath

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/oauth"
	"oauth2-server/store"
)

// serverMetadata is RFC 8414 §2 and OpenID Connect Discovery §3: only what works.
type serverMetadata struct {
	Issuer                string   `json:"issuer"`
	TokenEndpoint         string   `json:"token_endpoint"`
	TokenMethods          []string `json:"token_endpoint_auth_methods_supported"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	IntrospectionMethods  []string `json:"introspection_endpoint_auth_methods_supported"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	RevocationMethods     []string `json:"revocation_endpoint_auth_methods_supported"`
	JWKSURI               string   `json:"jwks_uri"`
	GrantTypes            []string `json:"grant_types_supported"`
	ResponseTypes         []string `json:"response_types_supported"` // required, and there are none
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgs           []string `json:"id_token_signing_alg_values_supported"` // required, and there are none
}

// document is a prepared body with its validator (RFC 9110 §8.8.3).
type document struct {
	body []byte
	etag string
}

func newMetadata(issuer string) document {
	secret := []string{store.AuthBasic, store.AuthPost}
	body, err := json.Marshal(serverMetadata{
		Issuer:                issuer,
		TokenEndpoint:         issuer + routes[routeToken].path,
		TokenMethods:          secret,
		IntrospectionEndpoint: issuer + routes[routeIntrospect].path,
		IntrospectionMethods:  secret,
		RevocationEndpoint:    issuer + routes[routeRevoke].path,
		RevocationMethods:     append(secret, store.AuthNone),
		JWKSURI:               issuer + routes[routeJWKS].path,
		GrantTypes:            oauth.GrantTypes(),
		ResponseTypes:         []string{},
		SubjectTypes:          []string{"public"},
		IDTokenAlgs:           []string{},
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
