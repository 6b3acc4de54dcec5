package login

import (
	"errors"
	"testing"

	"oauth2-server/store"
)

func TestSessionsTakeOtherKeys(t *testing.T) {
	s, session := sessions(t, oldKey), NewSession(new(store.User), testNow)
	before := s.Seal(ForAdmin, session)
	s.Take(sessions(t, newKey+","+oldKey))
	if _, err := s.Open(ForAdmin, before, testNow); err != nil {
		t.Errorf("sealed by the old key, which is given: %v", err)
	}
	after := s.Seal(ForAdmin, session)
	s.Take(sessions(t, newKey))
	if _, err := s.Open(ForAdmin, before, testNow); !errors.Is(err, ErrNoSession) {
		t.Errorf("sealed by the old key, which is gone: got %v", err)
	}
	if _, err := s.Open(ForAdmin, after, testNow); err != nil {
		t.Error(err)
	}
}
