package target

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/url"

	"oauth2-server/bench/load"
)

const (
	formType  = "application/x-www-form-urlencoded"
	linesType = "application/x-ndjson"
)

// Issue asks for a token by client_credentials (RFC 6749 §4.4); form holds what is sent beside or instead, and may be nil.
func (t *Target) Issue(replica int, c Client, form url.Values) *load.Shot {
	whole := url.Values{"grant_type": {"client_credentials"}}
	if t.Scope != "" {
		whole.Set("scope", t.Scope)
	}
	for name, values := range form {
		whole[name] = values
	}
	return t.form("issue", replica, t.Paths.Token, c, whole)
}

// Introspect asks about a token (RFC 7662 §2.1).
func (t *Target) Introspect(replica int, c Client, token string) *load.Shot {
	return t.form("introspect", replica, t.Paths.Introspect, c, url.Values{"token": {token}})
}

// Revoke revokes a token (RFC 7009 §2.1).
func (t *Target) Revoke(replica int, c Client, token string) *load.Shot {
	return t.form("revoke", replica, t.Paths.Revoke, c, url.Values{"token": {token}})
}

// BatchIntrospect asks about many tokens at once: one a line in, one answer a line out.
func (t *Target) BatchIntrospect(replica int, c Client, tokens []string) *load.Shot {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	for _, token := range tokens {
		_ = lines.Encode(map[string]string{"token": token}) // strings into memory: cannot fail
	}
	return t.post("introspect-batch", replica, t.Paths.Batch, basic(c), linesType, body.Bytes())
}

// Get reads a path.
func (t *Target) Get(replica int, path string) *load.Shot {
	return t.shot(path, replica, path, "GET", "", nil)
}

// form posts a form with the client's credentials where the target wants them.
func (t *Target) form(kind string, replica int, path string, c Client, form url.Values) *load.Shot {
	authorization := basic(c)
	if t.AuthPost {
		authorization = ""
		form.Set("client_id", c.ID)
		form.Set("client_secret", c.Secret)
	}
	return t.post(kind, replica, path, authorization, formType, []byte(form.Encode()))
}

func (t *Target) post(kind string, replica int, path, authorization, contentType string, body []byte) *load.Shot {
	var head bytes.Buffer
	if authorization != "" {
		fmt.Fprintf(&head, "Authorization: %s\r\n", authorization)
	}
	fmt.Fprintf(&head, "Content-Type: %s\r\nContent-Length: %d\r\n", contentType, len(body))
	return t.shot(kind, replica, path, "POST", head.String(), body)
}

// basic writes credentials as RFC 6749 §2.3.1 asks: each form-encoded, then joined and in base64.
func basic(c Client) string {
	pair := url.QueryEscape(c.ID) + ":" + url.QueryEscape(c.Secret)
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

func (t *Target) shot(kind string, replica int, path, method, head string, body []byte) *load.Shot {
	at, err := t.url(replica, path)
	if err != nil {
		panic(fmt.Sprintf("BUG: path %q was not checked: %v", path, err))
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n%s\r\n", method, at.RequestURI(), at.Host, head)
	text.Write(body)
	return &load.Shot{Kind: kind, Addr: hostPort(at), TLS: at.Scheme == "https", Bytes: text.Bytes()}
}

// hostPort is the address to connect to.
func hostPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
