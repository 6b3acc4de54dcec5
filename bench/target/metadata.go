package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
)

var errNoMetadata = errors.New("no metadata document")

// metadata is what is read of RFC 8414 §2.
type metadata struct {
	Token      string `json:"token_endpoint"`
	Introspect string `json:"introspection_endpoint"`
	Revoke     string `json:"revocation_endpoint"`
}

// readMetadata asks at the place of RFC 8414 §3.1, then at that of OpenID
// Connect Discovery §4, and reports [errNoMetadata] when there is none at either.
func (t *Target) readMetadata(ctx context.Context, base string) (Paths, error) {
	for _, path := range []string{
		"/.well-known/oauth-authorization-server" + base,
		base + "/.well-known/openid-configuration",
	} {
		status, body, err := t.send(ctx, t.Get(0, path))
		if err != nil {
			return Paths{}, err
		}
		var m metadata
		if status/100 == 2 && json.Unmarshal(body, &m) == nil { // a page for people is no metadata
			return m.paths()
		}
	}
	return Paths{}, errNoMetadata
}

// paths leaves out the hosts: the document names the server as the world knows
// it, we speak to the replicas that we were given.
func (m *metadata) paths() (Paths, error) {
	p := Paths{Token: m.Token, Introspect: m.Introspect, Revoke: m.Revoke}
	for _, endpoint := range []*string{&p.Token, &p.Introspect, &p.Revoke} {
		if *endpoint == "" {
			continue // not told
		}
		u, err := url.Parse(*endpoint)
		if err != nil || u.Host == "" || u.Path == "" {
			return Paths{}, fmt.Errorf("metadata document names endpoint %q", *endpoint)
		}
		*endpoint = u.RequestURI()
	}
	return p, nil
}
