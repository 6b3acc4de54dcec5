package limits

import (
	"net/netip"
	"time"

	"oauth2-server/store"
)

// An Endpoint is what rules are for.
type Endpoint uint8

// The endpoints. One of a grant type is spent beside [Token], once the client has proved itself.
const (
	Token Endpoint = iota
	TokenClientCredentials
	TokenAuthorizationCode
	TokenRefreshToken
	Introspect
	Revoke
	Par // beside [Token]: a client that proves itself pays by its name alone, a public one by address
	Authorize
	Login
	Failures // of a client to prove itself
	NumEndpoints
)

var endpointNames = [NumEndpoints]string{
	Token: "token", TokenClientCredentials: "token.client_credentials",
	TokenAuthorizationCode: "token.authorization_code", TokenRefreshToken: "token.refresh_token",
	Introspect: "introspect", Revoke: "revoke", Par: "par",
	Authorize: "authorize", Login: "login", Failures: "failures",
}

func (e Endpoint) String() string { return endpointNames[e] }

// Endpoints maps the names of the endpoints to the keys that their requests can be counted by, for [store.Limit.Validate].
func Endpoints() map[string][]string {
	all := map[string][]string{}
	for e, name := range endpointNames {
		switch Endpoint(e) {
		case Login:
			all[name] = []string{store.LimitByIP, store.LimitByUsername, store.LimitByNobody}
		case Authorize:
			all[name] = []string{store.LimitByIP, store.LimitByNobody}
		default:
			all[name] = []string{store.LimitByIP, store.LimitByClient, store.LimitByClientIP, store.LimitByNobody}
		}
	}
	return all
}

// A Stage is how much is known of who asks.
type Stage uint8

// The stages. A rule is spent at the first at which its key is known, so that nobody spends the rate of a client that he is not.
const (
	ByAddress Stage = iota // ip, global
	ByName                 // client, client+ip, username
	numStages
)

// Who asks. The bytes are valid until Spend returns.
type Who struct {
	Address  netip.Addr // where from, behind trusted proxies; the zero value: unknown, counted as one
	Client   []byte     // that has proved itself; of [Failures], that could not
	Username []byte     // folded by store.FoldUsername
	Local    bool       // count here alone, without any I/O: this replica's part of the limit
}

// A Verdict is what became of a request.
type Verdict struct {
	Refused   bool
	Rule      *Policy       // the enforced rule that refused, or of those that allowed the one with the least left; nil: no rule is enforced
	Remaining int64         // permits left under Rule, as far as this replica knows
	Reset     time.Duration // until the whole burst is there again
	Retry     time.Duration // until the request may pass, of a refusal
}

// A Policy is what an answer may tell of a rule.
type Policy struct {
	Name   string
	Quota  store.Quota // of the key: its override, else the rule's
	Limit  int64       // permits per window, the q of Header; what remains is never above it
	Header string      // the value of RateLimit-Policy
}
