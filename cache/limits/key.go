package limits

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"

	"oauth2-server/store"
)

const (
	// maxName is the longest name, in bytes, that is kept as it is; of a longer one its hash. No client or user has
	// such a name, but what a stranger calls himself must not take our memory.
	maxName = 256
	// keyRoom is the bytes that a key takes at most: a name, a sign and an address.
	keyRoom = maxName + 64
	// hashed is what the hash of a name begins with, hiddenBytes how much of one is kept of a name that anybody may have typed.
	hashed, hiddenBytes = "sha256:", 8
	// unknownAddress is the key of all whose address is not known.
	unknownAddress = "unknown"
	// everyone is the one key of a global limit.
	everyone = "all"
	// siteBits is what one site has of IPv6: whoever has one address of it has all (RFC 6177).
	siteBits = 64
)

// appendKey writes the key that who is counted by. False: it is not known, so that the rule does not apply.
func (r *rule) appendKey(dst []byte, who *Who) ([]byte, bool) {
	switch r.limit.Key {
	case store.LimitByIP:
		return appendAddress(dst, who.Address), true
	case store.LimitByClient:
		return r.appendName(dst, who.Client)
	case store.LimitByUsername:
		return r.appendName(dst, who.Username)
	case store.LimitByClientIP:
		name, known := r.appendName(dst, who.Client)
		return appendAddress(append(name, '@'), who.Address), known
	default:
		return append(dst, everyone...), true
	}
}

// appendAddress writes IPv4 as it is, also when mapped into IPv6, and of IPv6 the /64.
func appendAddress(dst []byte, a netip.Addr) []byte {
	a = a.Unmap()
	switch {
	case !a.IsValid():
		return append(dst, unknownAddress...)
	case a.Is4():
		return a.AppendTo(dst)
	}
	site, _ := a.WithZone("").Prefix(siteBits) // fails only for a wrong number of bits
	return site.AppendTo(dst)
}

func (r *rule) appendName(dst, name []byte) ([]byte, bool) {
	if r.hidden {
		return appendHidden(dst, name)
	}
	if len(name) > maxName {
		digest := sha256.Sum256(name)
		return hex.AppendEncode(append(dst, hashed...), digest[:]), true
	}
	return append(dst, name...), len(name) > 0
}

// appendHidden writes a hash of a name that anybody may have typed: it may be a password in the wrong field, and keys are
// kept in Redis and shown to people.
func appendHidden(dst, name []byte) ([]byte, bool) {
	digest := sha256.Sum256(name)
	return hex.AppendEncode(append(dst, hashed...), digest[:hiddenBytes]), len(name) > 0
}

// counted is a key of [CanonicalKey] as requests are counted by it. One that names a hash, as statistics do, stays.
func (r *rule) counted(key string) string {
	name, address := r.parts(key)
	if !r.hidden || name == "" || isHidden(name) {
		return key
	}
	text, _ := appendHidden(nil, []byte(name))
	return string(text) + address
}

// parts are the name in a key, "" where it has none, and what follows it.
func (r *rule) parts(key string) (name, rest string) {
	switch r.limit.Key {
	case store.LimitByClient, store.LimitByUsername:
		return key, ""
	case store.LimitByClientIP:
		at := max(strings.LastIndexByte(key, '@'), 0)
		return key[:at], key[at:]
	default:
		return "", key
	}
}

func isHidden(name string) bool {
	return len(name) == len(hashed)+2*hiddenBytes && strings.HasPrefix(name, hashed)
}

// CanonicalKey is the one spelling of a key that an operator wrote: of an address what [Who] is counted by, so that any
// address of an IPv6 /64 names it all; of a user name what it is folded to.
func CanonicalKey(kind, text string) (string, error) {
	switch kind {
	case store.LimitByIP:
		return canonicalAddress(text)
	case store.LimitByClientIP:
		at := strings.LastIndexByte(text, '@')
		if at < 1 {
			return "", errors.New("must be like CLIENT@ADDRESS")
		}
		address, err := canonicalAddress(text[at+1:])
		return text[:at+1] + address, err
	case store.LimitByUsername:
		return notEmpty(store.FoldUsername(text))
	case store.LimitByNobody:
		return "", errors.New("a global limit counts all under one key: change its own value")
	}
	return notEmpty(text)
}

func notEmpty(key string) (string, error) {
	if key == "" {
		return "", errors.New("the key is empty")
	}
	return key, nil
}

func canonicalAddress(text string) (string, error) {
	if text == unknownAddress {
		return text, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		site, err := netip.ParsePrefix(text)
		if err != nil || !site.Addr().Is6() || site.Bits() != siteBits || site.Addr().Is4In6() {
			return "", errors.New("must be an address like 192.0.2.1 or 2001:db8::1, a network of IPv6 with /64, or unknown")
		}
		address = site.Addr()
	}
	return string(appendAddress(nil, address)), nil
}

// clean is a key as it may be kept for people: what is no text in it, or controls a terminal, is replaced.
func clean(key string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(key, "\uFFFD"))
}
