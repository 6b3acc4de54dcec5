package target

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Options describe a server of RFC 6749, and of RFC 7662 and 7009 where that is measured.
type Options struct {
	// URL is required. It may have a path (an issuer's), below which the defaults lie. Several replicas are separated
	// by commas.
	URL                    string
	ClientID, ClientSecret string // required

	// Paths on the server, or whole URLs. Empty: from the metadata document, or else the defaults.
	TokenPath, IntrospectPath, RevokePath string

	Metadata bool   // the metadata document must be there
	Scope    string // asked for when issuing; empty: the server's default
	AuthPost bool   // credentials in the body (client_secret_post) instead of the header
}

// Discover finds the endpoints of a server and proves that each replica
// issues a token for the credentials. Its errors wrap [ErrTarget].
func Discover(ctx context.Context, o Options) (*Target, error) {
	if o.ClientID == "" || o.ClientSecret == "" {
		return nil, fmt.Errorf("%w: client id and client secret are needed", ErrTarget)
	}
	t := &Target{Client: Client{o.ClientID, o.ClientSecret}, Scope: o.Scope, AuthPost: o.AuthPost}
	base, err := t.parseReplicas(o.URL)
	if err != nil {
		return nil, err
	}
	if err := t.findPaths(ctx, base, o); err != nil {
		return nil, err
	}
	for replica := range t.URLs {
		if err := t.prove(ctx, replica); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// parseReplicas sets URLs and reports the path that all of them share.
func (t *Target) parseReplicas(text string) (base string, err error) {
	for i, one := range strings.Split(text, ",") {
		u, err := parseURL(strings.TrimSpace(one))
		if err != nil {
			return "", err
		}
		path := strings.TrimSuffix(u.Path, "/")
		if i > 0 && path != base {
			return "", fmt.Errorf("%w %s: replicas do not share one path", ErrTarget, u)
		}
		base = path
		t.URLs = append(t.URLs, &url.URL{Scheme: u.Scheme, Host: u.Host})
	}
	return base, nil
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: URL %q cannot be read", ErrTarget, text)
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, fmt.Errorf("%w: URL %q is not http://host or https://host", ErrTarget, text)
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("%w: URL of %s has more than host and path", ErrTarget, u.Host)
	}
	return u, nil
}

// findPaths takes each path from the options, else the metadata, else the defaults.
func (t *Target) findPaths(ctx context.Context, base string, o Options) error {
	defaults := Paths{
		base + DefaultPaths.Token, base + DefaultPaths.Introspect, base + DefaultPaths.Batch,
		base + DefaultPaths.Revoke, base + DefaultPaths.Health,
	}
	t.Paths = Paths{Token: o.TokenPath, Introspect: o.IntrospectPath, Revoke: o.RevokePath}
	if err := t.checkPaths(); err != nil {
		return err
	}
	if o.Metadata || o.TokenPath == "" || o.IntrospectPath == "" || o.RevokePath == "" {
		told, err := t.readMetadata(ctx, base)
		if err != nil && (o.Metadata || !errors.Is(err, errNoMetadata)) {
			return fmt.Errorf("%w %s: %w", ErrTarget, t.URLs[0], err)
		}
		t.Paths.fill(told)
	}
	t.Paths.fill(defaults)
	return nil
}

// fill takes from other what is not there.
func (p *Paths) fill(other Paths) {
	for _, pair := range []struct{ to, from *string }{
		{&p.Token, &other.Token},
		{&p.Introspect, &other.Introspect},
		{&p.Batch, &other.Batch},
		{&p.Revoke, &other.Revoke},
		{&p.Health, &other.Health},
	} {
		if *pair.to == "" {
			*pair.to = *pair.from
		}
	}
}

// checkPaths refuses what no request can be built of.
func (t *Target) checkPaths() error {
	for _, path := range []string{t.Paths.Token, t.Paths.Introspect, t.Paths.Revoke} {
		if path == "" {
			continue
		}
		if _, err := t.url(0, path); err != nil {
			return fmt.Errorf("%w: path %q is neither /path nor a URL", ErrTarget, path)
		}
	}
	return nil
}

// prove asks a replica for a token.
func (t *Target) prove(ctx context.Context, replica int) error {
	_, err := t.newToken(ctx, t.Issue(replica, t.Client, nil))
	if err == nil {
		return nil
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		err = t.explain(r)
	}
	return fmt.Errorf("%w %s: %w", ErrTarget, t.URLs[replica], err)
}

// explain says what a refused token request means for who runs the suite.
func (t *Target) explain(r *refusal) error {
	switch {
	case r.code == "invalid_client", r.status == http.StatusUnauthorized:
		return fmt.Errorf("credentials of client %q refused: %w", t.Client.ID, r)
	case r.status == http.StatusNotFound, r.status == http.StatusMethodNotAllowed:
		return fmt.Errorf("no token endpoint at %s: %w", t.Paths.Token, r)
	}
	return fmt.Errorf("no token for client %q: %w", t.Client.ID, r)
}
