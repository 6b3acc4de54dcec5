package main

import (
	"fmt"
	"net/url"
	"strings"
)

// A Secret is a value that is never printed.
type Secret string

const masked = "***"

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// Format keeps every verb from printing the value.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText keeps encoders from printing the value.
//
//nolint:unparam // the result is encoding.TextMarshaler's
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// maskURL is a URL as it may be shown: without passwords. What cannot be taken
// apart for certain is masked whole.
func maskURL(text string) string {
	u, err := url.Parse(text)
	// Behind the host there is no @, unless a password holds a character that should have been written as %XX.
	if err != nil || u.Scheme == "" || strings.Contains(u.Path+u.RawQuery+u.Fragment, "@") {
		return Secret(text).String()
	}
	if u.Opaque != "" { // sqlite:PATH
		return text
	}
	query := u.Query()
	for name, values := range query {
		lower := strings.ToLower(name)
		for i := range values {
			if strings.Contains(lower, "pass") || strings.Contains(lower, "secret") {
				values[i] = masked
			}
		}
	}
	if _, both := u.User.Password(); u.User != nil && !both && !strings.HasPrefix(u.Scheme, "postgres") {
		u.User = url.UserPassword("", "") // a user alone: most often a password in the wrong place
	}
	u.RawQuery = strings.ReplaceAll(query.Encode(), url.QueryEscape(masked), masked)
	return strings.Replace(u.Redacted(), ":xxxxx@", ":"+masked+"@", 1)
}
