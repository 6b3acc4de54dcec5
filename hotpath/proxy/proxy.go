// Package proxy finds out where a request comes from, behind proxies that are trusted.
package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
)

// Trusted are the networks of the proxies in front of this server. Without any, the peer is the client and what it says is ignored.
type Trusted []netip.Prefix

// Parse reads addresses and networks.
func Parse(list []string) (Trusted, error) {
	var t Trusted
	for _, text := range list {
		prefix, err := parseNetwork(text)
		if err != nil {
			return nil, fmt.Errorf("proxy %.60q: %w", text, err)
		}
		t = append(t, prefix)
	}
	return t, nil
}

var errNetwork = errors.New("must be an address or a network like 10.0.0.0/8, without a zone")

// parseNetwork reads one address or network. Those of IPv4 written as IPv6 become IPv4, as the peers do that they are compared with.
func parseNetwork(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return netip.Prefix{}, errNetwork
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	if address := prefix.Addr(); address.Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, errNetwork // wider than all of IPv4
		}
		prefix = netip.PrefixFrom(address.Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), nil
}

// Trusts reports whether the address is a proxy's.
func (t Trusted) Trusts(address netip.Addr) bool {
	for _, prefix := range t {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// maxHops bounds the entries that are looked at: more proxies in a row nobody has.
const maxHops = 32

// Client is the address that the request comes from: the peer's, or, if the peer is trusted, the right-most address
// of X-Forwarded-For that is not; if all are, the left-most. forwarded is the lines of that header, in order.
//
// Each proxy appends what it saw, so an entry is worth something only if all to the right of it are proxies of ours. One that is
// no address was written by a proxy of ours or is the client's lie: in both cases the last address that
// is known for sure pays, which is that proxy's. No zone: it has a meaning on one machine only.
func (t Trusted) Client(peer netip.Addr, forwarded ...[]byte) netip.Addr {
	client := peer.Unmap().WithZone("")
	hops := 0
	for i := len(forwarded) - 1; i >= 0; i-- {
		line := forwarded[i]
		for more := true; more; hops++ {
			if hops == maxHops || !t.Trusts(client) {
				return client
			}
			var entry []byte
			if entry, line, more = cutLast(line); len(entry) == 0 {
				continue // RFC 9110 §5.6.1: an empty element of a list is none
			}
			hop, ok := parseHop(entry)
			if !ok {
				return client
			}
			client = hop
		}
	}
	return client
}

// cutLast splits a list around its last comma.
func cutLast(list []byte) (last, before []byte, more bool) {
	if i := bytes.LastIndexByte(list, ','); i >= 0 {
		return trim(list[i+1:]), list[:i], true
	}
	return trim(list), nil, false
}

// trim takes away blanks at both ends.
func trim(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	for len(text) > 0 && (text[len(text)-1] == ' ' || text[len(text)-1] == '\t') {
		text = text[:len(text)-1]
	}
	return text
}
