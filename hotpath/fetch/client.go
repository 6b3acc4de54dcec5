package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Bounds of one request, the other server's name look-up included.
const (
	Within   = 5 * time.Second
	MaxBytes = 64 << 10 // of an answer's body
)

// Why nothing was asked, or an answer is worth nothing.
var (
	ErrAddress = errors.New("the address is not one of the public Internet")
	ErrScheme  = errors.New("the URL is no https URL with a host")
	ErrLong    = fmt.Errorf("the answer has more than %d bytes", MaxBytes)
)

// Options of a [Client].
type Options struct {
	// PerHost bounds the connections to one server; 0: 4.
	PerHost int
	// Loopback lets it ask this very machine, without TLS too. It is for tests.
	Loopback bool
	// Transport is changed before it is used; its dialler is not to be replaced. May be nil. It is for tests.
	Transport func(*http.Transport)
}

// A Client asks other servers. It is safe for concurrent use.
type Client struct {
	http     *http.Client
	loopback bool
}

// New makes a client. It takes no proxy from the environment: behind one, the address that is dialled would be the proxy's.
func New(options Options) *Client {
	c := &Client{loopback: options.Loopback}
	dialer := &net.Dialer{Timeout: Within, Control: c.control}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: Within, ResponseHeaderTimeout: Within,
		MaxResponseHeaderBytes: MaxBytes, MaxIdleConns: 16, MaxIdleConnsPerHost: 1, MaxConnsPerHost: cmp.Or(options.PerHost, 4), IdleConnTimeout: 30 * time.Second,
	}
	if options.Transport != nil {
		options.Transport(transport)
	}
	c.http = &http.Client{
		Transport: transport, Timeout: Within,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// control is asked for every address before it is connected to, after the name was resolved.
func (c *Client) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAddress, err) // %v: of no interest to callers
	}
	if isPublic(at.Addr()) || c.loopback && at.Addr().Unmap().IsLoopback() {
		return nil
	}
	return ErrAddress
}

// Get reads a document. Any answer but 200 is an error.
func (c *Client) Get(ctx context.Context, target string) ([]byte, error) {
	status, body, err := c.do(ctx, http.MethodGet, target, "")
	if err == nil && status != http.StatusOK {
		return nil, fmt.Errorf("ask %s: answered %d", host(target), status)
	}
	return body, err
}

// Post sends a form, and returns the status of the answer. Its body is not looked at.
func (c *Client) Post(ctx context.Context, target, form string) (status int, err error) {
	status, _, err = c.do(ctx, http.MethodPost, target, form)
	return status, err
}

// do sends a request. Errors name the host at most: what was sent, and the rest of the URL, may be secret.
func (c *Client) do(ctx context.Context, method, target, form string) (status int, body []byte, err error) {
	at, err := url.Parse(target)
	if err != nil || at.Host == "" || at.Scheme != "https" && (!c.loopback || at.Scheme != "http") {
		return 0, nil, ErrScheme
	}
	request, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(form))
	if err != nil {
		return 0, nil, ErrScheme
	}
	request.Header.Set("User-Agent", "oauth2-server")
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s: %w", at.Hostname(), bare(err))
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, MaxBytes+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("read the answer of %s: %w", at.Hostname(), err)
	case len(body) > MaxBytes:
		return 0, nil, fmt.Errorf("read the answer of %s: %w", at.Hostname(), ErrLong)
	}
	return response.StatusCode, body, nil
}

// host is the name in a URL.
func host(target string) string {
	if at, err := url.Parse(target); err == nil {
		return at.Hostname()
	}
	return ""
}

// bare is an error of net/http without the URL that it repeats.
func bare(err error) error {
	if with, ok := errors.AsType[*url.Error](err); ok {
		return with.Err
	}
	return err
}
