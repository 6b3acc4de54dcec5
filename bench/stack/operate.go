package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Operate asks the operators' listener of a replica, with a token of the operator's client, and reads the answer, if it is
// one of success, into answer. body and answer are JSON nouns; both may be nil.
func (s *Stack) Operate(ctx context.Context, replica int, method, path string, body, answer any) error {
	token, err := s.operatorToken(ctx, replica)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+s.replicas[replica].admin+path, &text)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	return do(request, answer)
}

// operatorToken is a new one each time: it is asked for seldom, and keys may have been rotated meanwhile.
func (s *Stack) operatorToken(ctx context.Context, replica int) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"admin"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.replicas[replica].URL()+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.SetBasicAuth(s.operator.ID, s.operator.Secret)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer struct {
		Token string `json:"access_token"`
	}
	err = do(request, &answer)
	return answer.Token, err
}

// do sends a request and reads the JSON of its answer, if it is one of success.
func do(request *http.Request, answer any) error {
	response, err := plain.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)) // what there is of it is told
		return fmt.Errorf("%s %s answers %s: %s", request.Method, request.URL.Path, response.Status, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("%s %s: %w", request.Method, request.URL.Path, err)
	}
	return nil
}
