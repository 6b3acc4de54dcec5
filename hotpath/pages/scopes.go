package pages

import (
	"cmp"
	"slices"
	"strings"
)

// A Scope is something that a client may do, in words.
type Scope struct {
	Text string
	Name string // of a scope that the words do not say; "": they do
}

// standard is what OpenID Connect Core §5.4 and §11 define, in the order of the page.
var standard = [...]struct{ name, text string }{
	{"openid", "Know who you are"},
	{"profile", "See your user name"},
	{"email", "See your e-mail address"},
	{"offline_access", "Go on when you are away"},
}

// Scopes is a scope parameter in words: first what is standard, then the rest by its names.
func Scopes(scope string) []Scope {
	names := strings.Fields(scope)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	var all []Scope
	for _, name := range names {
		if i := rank(name); i < len(standard) {
			all = append(all, Scope{Text: standard[i].text})
		} else {
			all = append(all, Scope{Text: "Use", Name: name})
		}
	}
	return all
}

// rank is the place of a scope in standard, or behind all of it.
func rank(name string) int {
	for i := range standard {
		if standard[i].name == name {
			return i
		}
	}
	return len(standard)
}
