package target

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"oauth2-server/bench/load"
)

const (
	directTimeout  = 10 * time.Second
	directParallel = 16
	maxAnswerBytes = 1 << 20
)

// NewTokens issues n tokens, concurrently.
func (t *Target) NewTokens(ctx context.Context, replica int, c Client, n int) ([]string, error) {
	shot := t.Issue(replica, c, nil)
	tokens := make([]string, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(directParallel)
	for i := range tokens {
		group.Go(func() (err error) {
			tokens[i], err = t.newToken(ctx, shot)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("issue %d tokens: %w", n, err)
	}
	return tokens, nil
}

func (t *Target) newToken(ctx context.Context, shot *load.Shot) (string, error) {
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := t.ask(ctx, shot, &answer); err != nil {
		return "", err
	}
	if answer.AccessToken == "" {
		return "", errNoToken
	}
	return answer.AccessToken, nil
}

var errNoToken = errors.New("answer holds no access_token")

// IsActive introspects a token.
func (t *Target) IsActive(ctx context.Context, replica int, c Client, token string) (bool, error) {
	var answer struct {
		Active bool `json:"active"`
	}
	if err := t.ask(ctx, t.Introspect(replica, c, token), &answer); err != nil {
		return false, fmt.Errorf("introspect: %w", err)
	}
	return answer.Active, nil
}

// RevokeNow revokes a token. Nil means that the server acknowledged it.
func (t *Target) RevokeNow(ctx context.Context, replica int, c Client, token string) error {
	if err := t.ask(ctx, t.Revoke(replica, c, token), nil); err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	return nil
}

// A refusal is an answer other than 2xx.
type refusal struct {
	status int
	code   string // of RFC 6749 §5.2, when there is one
}

func (r *refusal) Error() string {
	if r.code == "" {
		return fmt.Sprintf("status %d", r.status)
	}
	return fmt.Sprintf("status %d %q", r.status, r.code)
}

// ask sends a shot and decodes the JSON of a good answer into result, unless that is nil.
func (t *Target) ask(ctx context.Context, shot *load.Shot, result any) error {
	status, body, err := t.send(ctx, shot)
	if err != nil {
		return err
	}
	if status/100 != 2 {
		return refused(status, body)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(body, result); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}

func refused(status int, body []byte) error {
	var answer struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Error) > 60 {
		return &refusal{status: status} // no error of RFC 6749: the status says it all
	}
	return &refusal{status, answer.Error}
}

// send sends a shot, and reads the answer.
func (t *Target) send(ctx context.Context, shot *load.Shot) (status int, body []byte, err error) {
	answer, err := t.do(ctx, shot)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	return answer.StatusCode, body, err
}

// do sends a shot. Whoever gets the answer closes its body.
func (t *Target) do(ctx context.Context, shot *load.Shot) (*http.Response, error) {
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(shot.Bytes)))
	if err != nil {
		return nil, fmt.Errorf("read own request: %w", err)
	}
	request.RequestURI = "" // a client's request has none
	request.URL.Scheme, request.URL.Host = "http", request.Host
	if shot.TLS {
		request.URL.Scheme = "https"
	}
	answer, err := t.client().Do(request.WithContext(ctx))
	if err != nil {
		return nil, cause(err)
	}
	return answer, nil
}

// cause leaves out the method and the URL, which our callers name.
func cause(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// client keeps a connection for each that may ask at once, and knows no proxy: neither does the load.
func (t *Target) client() *http.Client {
	t.once.Do(func() {
		t.direct = &http.Client{
			Timeout:   directTimeout,
			Transport: &http.Transport{MaxIdleConnsPerHost: directParallel, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // a token endpoint does not redirect; credentials go nowhere else
			},
		}
	})
	return t.direct
}
