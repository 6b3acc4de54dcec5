package oauth

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"oauth2-server/store"
)

// How an answer gets back to the client (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode §2).
const (
	ModeQuery    = "query"
	ModeFormPost = "form_post"
)

// An Authorization is an authorization request (RFC 6749 §4.1.1) that keeps to all rules: what is left is the user.
type Authorization struct {
	Client    *store.Client  // may not be changed
	Position  store.Position // read before the client
	Redirect  string         // where the answer goes
	Sent      bool           // the request named Redirect, and so must who redeems the code (RFC 6749 §4.1.3)
	Mode      string         // ModeQuery or ModeFormPost
	State     string         // "": none
	Nonce     string         // "": none
	Scope     string         // space separated, each once
	Audience  string         // space separated
	Challenge [32]byte       // PKCE S256
	ACR       string         // acr_values as they were asked, space separated
	LoginHint string         // what the user may want to sign in as; not checked
	Hint      string         // the subject of the id_token_hint; "": none
	None      bool           // prompt=none: answer without showing anything
	Login     bool           // prompt=login: sign in again
	Consent   bool           // prompt=consent: ask though it was allowed before
	Select    bool           // prompt=select_account
	MaxAge    int64          // seconds since the user signed in, at most; -1: any time
	Pushed    store.ID       // the pushed request it came by; zero: none
	Params    string         // form-encoded: parse it again, to come back to the request
}

// An AuthorizeError is a refusal of an authorization request (RFC 6749 §4.1.2.1).
type AuthorizeError struct {
	Refusal  *Error
	Redirect string // "": it is told to the user on a page, and the browser is sent nowhere
	Mode     string // ModeQuery or ModeFormPost
	State    string
}

func (e *AuthorizeError) Error() string { return "authorization request: " + e.Refusal.Error() }

// Unwrap makes it an [*Error] to those who do not redirect.
func (e *AuthorizeError) Unwrap() error { return e.Refusal }

// Refuse is the answer that tells the client of a refusal: the user's, or what prompt=none could not do.
func (a *Authorization) Refuse(refusal *Error) *AuthorizeError {
	return &AuthorizeError{Refusal: refusal, Redirect: a.Redirect, Mode: a.Mode, State: a.State}
}

// Refusals that whoever talks to the user decides on.
var (
	ErrAccessDenied    = &Error{AccessDenied, "the user has refused"}
	ErrLoginRequired   = &Error{LoginRequired, "the user has to sign in, and prompt=none forbids to ask"}
	ErrConsentRequired = &Error{ConsentRequired, "the user has to consent, and prompt=none forbids to ask"}
	ErrInteraction     = &Error{InteractionRequired, "the user has to be asked, and prompt=none forbids it"}
	ErrAccountRequired = &Error{AccountSelectionRequired, "the user has to choose an account, and prompt=none forbids to ask"}
)

var (
	errParameters   = &Error{InvalidRequest, "the request is not form-encoded UTF-8 of a sensible size"}
	errRepeated     = &Error{InvalidRequest, "a parameter is repeated"}
	errNoClient     = &Error{InvalidRequest, "client_id names no client that is registered and enabled"}
	errRedirect     = &Error{InvalidRequest, "redirect_uri is not one that the client is registered for"}
	errNoRedirect   = &Error{InvalidRequest, "redirect_uri is missing"}
	errMode         = &Error{InvalidRequest, "response_mode must be query or form_post"}
	errFormPost     = &Error{InvalidRequest, "response_mode form_post needs a redirect_uri of http or https: no form can be posted to another"}
	errNoResponse   = &Error{InvalidRequest, "response_type is missing"}
	errResponse     = &Error{UnsupportedResponseType, "response_type must be code"}
	errNoCodeGrant  = &Error{UnauthorizedClient, "the client is not registered for authorization_code"}
	errRequest      = &Error{RequestNotSupported, "request objects are not supported"}
	errRequestURI   = &Error{RequestURINotSupported, "request_uri must be one of this server's endpoint for pushed requests"}
	errRegistration = &Error{RegistrationNotSupported, "registration is not supported"}
	errPrompt       = &Error{InvalidRequest, "prompt must be none alone, or some of login, consent and select_account"}
	errMaxAge       = &Error{InvalidRequest, "max_age must be a number of seconds"}
	errTooLong      = &Error{InvalidRequest, "state and nonce must have at most 2048 bytes"}
	errHint         = &Error{InvalidRequest, "id_token_hint is no id_token of this server for the client"}
)

const (
	maxEcho      = 2048 // bytes of state and nonce, which are given back exactly or not at all
	maxAge       = int64(1) << 31
	scopeOffline = "offline_access" // OpenID Connect Core §11
)

// ParseAuthorization judges an authorization request: its form-encoded parameters, from the query of a GET or the body
// of a POST. An [*AuthorizeError] is the client's fault, anything else one of this server ([store.ErrUnavailable]).
func (s *Rules) ParseAuthorization(ctx context.Context, params string) (*Authorization, error) {
	p, err := parseParameters(params)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(p.get("request_uri"), pushedPrefix) {
		return s.resume(ctx, p)
	}
	a, err := s.identify(p)
	if err != nil {
		return nil, err
	}
	if refusal := s.judge(a, p); refusal != nil {
		return nil, a.Refuse(refusal)
	}
	a.Params = p.encode()
	return a, nil
}

// identify finds the client and proves where its answer may go. Until then every refusal is a page, never a redirect
// (RFC 6749 §4.1.2.1, RFC 9700 §4.11).
func (s *Rules) identify(p parameters) (*Authorization, error) {
	stale, err := s.Clients.Fresh()
	if err != nil {
		return nil, err
	}
	a := &Authorization{Position: s.Clients.Position(), Mode: ModeQuery} // before the client is read
	if state := p.get("state"); !p.repeats("state") && len(state) <= maxEcho {
		a.State = state
	}
	a.Client = s.Clients.Client([]byte(p.get("client_id")))
	refusal := s.place(a, p)
	if refusal != nil && stale {
		return nil, errStale // it may have been registered since
	}
	if refusal != nil {
		return nil, &AuthorizeError{Refusal: refusal, Mode: ModeQuery}
	}
	return a, nil
}

// place decides where the answer goes.
func (s *Rules) place(a *Authorization, p parameters) *Error {
	if p.repeats("client_id") || p.repeats("redirect_uri") {
		return errRepeated
	}
	if a.Client == nil || a.Client.Disabled {
		return errNoClient
	}
	a.Redirect = p.get("redirect_uri")
	a.Sent = a.Redirect != ""
	switch registered := a.Client.RedirectURIs; {
	case a.Sent && !mayRedirect(registered, a.Redirect):
		return errRedirect
	case !a.Sent && (len(registered) != 1 || hasWord([]byte(p.get("scope")), []byte(scopeOpenID))):
		return errNoRedirect // RFC 6749 §3.1.2.3; OpenID Connect Core §3.1.2.1 asks for it always
	case !a.Sent:
		a.Redirect = registered[0]
	}
	if p.get("response_mode") == ModeFormPost && isWeb(a.Redirect) {
		a.Mode = ModeFormPost
	}
	return nil
}

// isWeb reports whether a form can be posted to the URI.
func isWeb(uri string) bool {
	return strings.HasPrefix(uri, "https://") || strings.HasPrefix(uri, "http://")
}

// judge holds the request against every rule that is left, in an order that refuses what is not understood first.
func (s *Rules) judge(a *Authorization, p parameters) *Error {
	switch mode := p.get("response_mode"); {
	case p.repeated():
		return errRepeated // RFC 6749 §3.1
	case mode != "" && mode != ModeQuery && mode != ModeFormPost:
		return errMode
	case mode == ModeFormPost && a.Mode != ModeFormPost:
		return errFormPost
	case p.get("request") != "":
		return errRequest // OpenID Connect Core §6.1: never ignored
	case p.get("request_uri") != "":
		return errRequestURI // §6.2
	case p.get("registration") != "":
		return errRegistration // §7.2.1
	case p.get("response_type") == "":
		return errNoResponse
	case p.get("response_type") != "code":
		return errResponse
	case !a.Client.MayUse(GrantAuthorizationCode.String()):
		return errNoCodeGrant
	}
	for _, step := range []func(*Authorization, parameters) *Error{readChallenge, s.readRights, readPrompt, s.readPerson} {
		if refusal := step(a, p); refusal != nil {
			return refusal
		}
	}
	return nil
}

// readChallenge demands PKCE of every client (RFC 9700 §2.1.1).
func readChallenge(a *Authorization, p parameters) (refusal *Error) {
	a.Challenge, refusal = parseChallenge(p.get("code_challenge"), p.get("code_challenge_method"))
	return refusal
}

// readRights finds scope and audience. Who asks for no scope gets what the client is registered for, but for what makes
// it another protocol or outlives the session: openid and offline_access are asked for by name (RFC 6749 §3.3).
func (s *Rules) readRights(a *Authorization, p parameters) *Error {
	scope, err := narrowScope(nil, a.Client, []byte(p.get("scope")))
	if err != nil {
		return errScope
	}
	a.Scope = string(scope)
	if p.get("scope") == "" {
		a.Scope = withoutWords(a.Scope, scopeOpenID, scopeOffline)
	}
	var targets [][]byte
	for _, name := range repeatable {
		for _, target := range p[name] {
			if target != "" {
				targets = append(targets, []byte(target))
			}
		}
	}
	audience, err := s.target(nil, a.Client, targets)
	if err != nil {
		return errTarget
	}
	a.Audience = string(audience)
	return nil
}

// withoutWords is a list separated by spaces without some of its words.
func withoutWords(list string, words ...string) string {
	left := []byte(nil)
	for word := range strings.FieldsSeq(list) {
		if !slices.Contains(words, word) {
			left = appendWord(left, word)
		}
	}
	return string(left)
}

// readPrompt reads how much the user may and must be asked (OpenID Connect Core §3.1.2.1).
func readPrompt(a *Authorization, p parameters) *Error {
	for prompt := range strings.FieldsSeq(p.get("prompt")) {
		switch prompt {
		case "none":
			a.None = true
		case "login":
			a.Login = true
		case "consent":
			a.Consent = true
		case "select_account":
			a.Select = true
		default:
			return errPrompt
		}
	}
	if a.None && (a.Login || a.Consent || a.Select) {
		return errPrompt
	}
	a.MaxAge = -1
	if text := p.get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return errMaxAge
		}
		a.MaxAge = min(int64(seconds), maxAge)
	}
	return nil
}

// readPerson reads what the request says of the user, and what is given back with the answer.
func (s *Rules) readPerson(a *Authorization, p parameters) *Error {
	a.Nonce, a.LoginHint, a.ACR = p.get("nonce"), p.get("login_hint"), p.get("acr_values")
	if len(p.get("state")) > maxEcho || len(a.Nonce) > maxEcho {
		return errTooLong
	}
	text := p.get("id_token_hint")
	if text == "" {
		return nil
	}
	subject, _, client, ok := s.hint(text)
	if !ok || client != a.Client.ID {
		return errHint
	}
	a.Hint = subject
	return nil
}
