package oauth

import "strings"

// mayRedirect reports whether a redirect URI is one of those registered: byte for byte (RFC 9700 §2.1), but that the port
// of an IP address of this very machine may be any, as a native app learns it when it starts (RFC 8252 §7.3).
func mayRedirect(registered []string, uri string) bool {
	portless, loopback := withoutPort(uri)
	for _, own := range registered {
		if own == uri {
			return true
		}
		if ownPortless, same := withoutPort(own); loopback && same && ownPortless == portless {
			return true
		}
	}
	return false
}

// loopbacks are the beginnings of URIs whose port does not count. "localhost" is none: what it resolves to is not this server's to know (§8.3).
var loopbacks = [...]string{"http://127.0.0.1", "http://[::1]"}

// withoutPort is a URI on a loopback address without its port; it reports whether it is one. No parser takes part: what
// two parsers read differently is how peers were fooled.
func withoutPort(uri string) (string, bool) {
	for _, address := range loopbacks {
		rest, found := strings.CutPrefix(uri, address)
		if !found {
			continue
		}
		if port, with := strings.CutPrefix(rest, ":"); with {
			rest = strings.TrimLeft(port, "0123456789")
			if digits := len(port) - len(rest); digits == 0 || digits > 5 {
				return "", false
			}
		}
		if rest == "" || rest[0] == '/' || rest[0] == '?' {
			return address + rest, true
		}
	}
	return "", false
}
