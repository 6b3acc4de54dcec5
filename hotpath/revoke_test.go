package hotpath

import (
	"net/http"
	"testing"
)

func (s *site) revoke(client, token string) reply {
	s.t.Helper()
	return s.do(call{path: "/oauth/revoke", basic: client, form: values("token", token)})
}

func TestRevokedTokenIsInactiveAtOnce(t *testing.T) {
	s := newSite(t)
	for _, client := range []string{"app", "jwt"} {
		token, other := s.issue(client), s.issue(client)
		s.wantActive(client, token) // it is in L1
		if r := s.revoke(client, token); r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.body)
		}
		s.wantInactive(client, token)
		s.wantActive(client, other)
		if r := s.revoke(client, token); r.status != http.StatusOK { // RFC 7009 §2.2: no error
			t.Errorf("again: %d %s", r.status, r.body)
		}
	}
}

// RFC 7009 §2.1: a token of another client is refused, and stays alive.
func TestForeignTokenIsNotRevoked(t *testing.T) {
	s := newSite(t)
	for _, client := range []string{"app", "jwt"} {
		token := s.issue(client)
		wantError(t, s.revoke("basic", token), 400, "unauthorized_client")
		wantError(t, s.revoke("auditor", token), 400, "unauthorized_client")
		s.wantActive(client, token)
	}
}

// RFC 7009 §2.2: what is no token of ours needs no revocation.
func TestUnknownTokenIsRevokedAlready(t *testing.T) {
	s := newSite(t)
	for _, token := range []string{"garbage", "oat_AAAA", s.issue("app")[:50], "eyJhbGciOiJub25lIn0.e30."} {
		if r := s.revoke("app", token); r.status != http.StatusOK {
			t.Errorf("%.10s…: %d %s", token, r.status, r.body)
		}
	}
}

func TestRevocationNeedsAClient(t *testing.T) {
	s := newSite(t)
	token := s.issue("app")
	wantError(t, s.do(call{path: "/oauth/revoke", form: values("token", token)}), 401, "invalid_client")
	wantError(t, s.do(call{path: "/oauth/revoke", basic: "app", pass: "wrong", form: values("token", token)}), 401, "invalid_client")
	wantError(t, s.do(call{path: "/oauth/revoke", basic: "app", form: values("x", "y")}), 400, "invalid_request")
	s.wantActive("app", token)
}

// RFC 7009 §2.1: a public client may revoke; it has no token here to revoke but its request is heard.
func TestPublicClientMayAsk(t *testing.T) {
	s := newSite(t)
	r := s.do(call{path: "/oauth/revoke", form: values("token", "garbage", "client_id", "page")})
	if r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
}
