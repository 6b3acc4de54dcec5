package oauth

import (
	"net/url"
	"strings"
)

// An Answer is what the browser takes back to the client (RFC 6749 §4.1.2).
type Answer struct {
	Redirect string // the redirect URI
	Mode     string // ModeQuery: to [Answer.URL]; ModeFormPost: Fields, posted to Redirect
	Fields   []Field
}

// A Field is one parameter of an answer.
type Field struct{ Name, Value string }

// AnswerCode tells the client of the code that [Rules.Allow] made.
func (s *Rules) AnswerCode(a *Authorization, code string) Answer {
	return s.answer(Answer{a.Redirect, a.Mode, []Field{{"code", code}}}, a.State)
}

// AnswerError tells the client of a refusal, which must not be one for a page.
func (s *Rules) AnswerError(e *AuthorizeError) Answer {
	fields := []Field{{"error", e.Refusal.Code.String()}, {"error_description", e.Refusal.Description}}
	return s.answer(Answer{e.Redirect, e.Mode, fields}, e.State)
}

// answer adds what every answer has: the state as it was sent, and who answers (RFC 9207 §2).
func (s *Rules) answer(a Answer, state string) Answer {
	if state != "" {
		a.Fields = append(a.Fields, Field{"state", state})
	}
	a.Fields = append(a.Fields, Field{"iss", s.Issuer})
	return a
}

// URL is the redirect URI with the fields behind the query it has of its own (RFC 6749 §3.1.2).
func (a *Answer) URL() string {
	var b strings.Builder
	b.WriteString(a.Redirect)
	separator := "?"
	switch {
	case strings.HasSuffix(a.Redirect, "?"), strings.HasSuffix(a.Redirect, "&"):
		separator = ""
	case strings.Contains(a.Redirect, "?"):
		separator = "&"
	}
	for _, field := range a.Fields {
		b.WriteString(separator + field.Name + "=" + url.QueryEscape(field.Value))
		separator = "&"
	}
	return b.String()
}
