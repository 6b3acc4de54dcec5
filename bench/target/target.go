package target

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// ErrTarget marks what the user of the suite must put right: a target that
// cannot be reached, refuses the credentials, or is described wrongly. Such an
// error is one line.
var ErrTarget = errors.New("target")

// Client is who asks.
type Client struct{ ID, Secret string }

// Paths are where a server's endpoints are. One may be a whole URL when it has a host of its own; it then is the same
// for all replicas.
type Paths struct {
	Token, Introspect, Batch, Revoke, Health string
}

// DefaultPaths are those of this project's server.
var DefaultPaths = Paths{
	Token: "/oauth/token", Introspect: "/oauth/introspect", Batch: "/oauth/introspect/batch",
	Revoke: "/oauth/revoke", Health: "/health",
}

// Target is an OAuth server, of one or more replicas that answer alike.
type Target struct {
	URLs     []*url.URL // of the replicas, without a path
	Paths    Paths
	Client   Client // of the Options
	Scope    string // asked for when issuing; empty: the server's default
	AuthPost bool   // credentials in the body (client_secret_post) instead of the header

	once   sync.Once
	direct *http.Client
}

// url is where a replica has a path.
func (t *Target) url(replica int, path string) (*url.URL, error) {
	if !strings.HasPrefix(path, "/") {
		return parseURL(path)
	}
	at, err := url.ParseRequestURI(path) // which takes "//x" for a path, not for a host
	if err != nil {
		return nil, err
	}
	at.Scheme, at.Host = t.URLs[replica].Scheme, t.URLs[replica].Host
	return at, nil
}
