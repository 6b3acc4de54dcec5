package oauth

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of the text of a request. What of it can be carried along while the user is asked is less: that is for whoever carries it.
const (
	maxParams = 16 << 10 // bytes
	maxNames  = 64       // parameters
)

// The parameters that are known: one that is not is ignored (RFC 6749 §3.1).
var (
	// carried are those that decide what becomes of the request.
	carried = []string{
		"response_type", "client_id", "redirect_uri", "scope", "state", "response_mode", "nonce", "prompt", "max_age", "id_token_hint",
		"login_hint", "acr_values", "code_challenge", "code_challenge_method", "request", "request_uri", "registration", "resource", "audience",
	}
	// accepted are those that change nothing (OpenID Connect Core §3.1.2.1, §5.2, §5.5).
	accepted = []string{"display", "ui_locales", "claims_locales", "claims"}
	// repeatable are those that may be given more than once (RFC 8707 §2).
	repeatable = []string{"resource", "audience"}
)

// parameters are what of a request is known, without those that have no value, which are as good as absent (RFC 6749 §3.1).
type parameters map[string][]string

// parseParameters reads form-encoded text. The refusal is an [*AuthorizeError] for a page: what cannot be read names no client.
func parseParameters(text string) (parameters, error) {
	refused := &AuthorizeError{Refusal: errParameters, Mode: ModeQuery}
	if len(text) > maxParams || strings.Count(text, "&") >= maxNames {
		return nil, refused
	}
	form, err := url.ParseQuery(text)
	if err != nil {
		return nil, refused
	}
	p := parameters{}
	for name, values := range form {
		if !slices.Contains(carried, name) && !slices.Contains(accepted, name) {
			continue
		}
		if !slices.ContainsFunc(values, func(value string) bool { return value != "" }) && len(values) == 1 {
			continue
		}
		if !slices.ContainsFunc(values, isNoText) {
			p[name] = values
			continue
		}
		return nil, refused
	}
	return p, nil
}

// isNoText reports whether a value could not be given back, or shown, as it is.
func isNoText(value string) bool {
	return !utf8.ValidString(value) || strings.IndexFunc(value, unicode.IsControl) >= 0
}

// get is the value of a parameter, "" where there is none.
func (p parameters) get(name string) string {
	if values := p[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// repeats reports whether a parameter is given more than once, be it without a value (RFC 6749 §3.1).
func (p parameters) repeats(name string) bool { return len(p[name]) > 1 }

// repeated reports whether any is that may not be.
func (p parameters) repeated() bool {
	for name := range p {
		if p.repeats(name) && !slices.Contains(repeatable, name) {
			return true
		}
	}
	return false
}

// encode is what of the request decides, form-encoded.
func (p parameters) encode() string {
	kept := url.Values{}
	for _, name := range carried {
		if values := p[name]; len(values) > 0 {
			kept[name] = values
		}
	}
	return kept.Encode()
}
