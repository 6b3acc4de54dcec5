package main

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"oauth2-server/store"
)

// A sower starts a server as far as its operator, and keeps what it says.
type sower struct {
	c        *console
	out, log bytes.Buffer
}

// start is with a password in the variable, "" for none. It is the password that was made.
func (s *sower) start(password string) string {
	s.c.t.Helper()
	s.out.Reset()
	s.log.Reset()
	config := &Config{SeedUsername: "Admin", SeedPassword: Secret(password)}
	tell := herald{out: &s.out, log: slog.New(slog.NewJSONHandler(&s.log, nil))}
	if err := seedOperator(s.c.t.Context(), config, s.c.open(), store.Actor{Kind: "replica", ID: "r"}, tell); err != nil {
		s.c.t.Fatal(err)
	}
	made := regexp.MustCompile(`(?m)^[A-Za-z0-9_-]{24}$`).FindString(s.out.String())
	for _, secret := range []string{password, made} {
		if secret != "" && strings.Contains(s.log.String(), secret) {
			s.c.t.Error("the log holds the password")
		}
	}
	return made
}

func TestFirstStartPrintsThePasswordOnce(t *testing.T) {
	s := &sower{c: newConsole(t)}
	made := s.start("")
	if made == "" {
		t.Fatalf("got %q, want a password on a line of its own", s.out.String())
	}
	s.c.wantPassword("admin", made)
	want(t, s.out.String(), `"admin"`, "shown this once", "user set-password admin")
	want(t, s.log.String(), "made the first operator")
	if again := s.start(""); again != "" || s.out.Len()+s.log.Len() != 0 {
		t.Errorf("got %q and %q at the second start, want nothing", s.out.String(), s.log.String())
	}
}

func TestConfiguredPasswordIsNeverPrinted(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		s := &sower{c: c}
		f := func(password, logged string) {
			t.Helper()
			s.start(password)
			if s.out.Len() != 0 || (logged == "" && s.log.Len() != 0) {
				t.Errorf("got %q and %q, want only %q", s.out.String(), s.log.String(), logged)
			}
			want(t, s.log.String(), logged)
			s.c.wantPassword("admin", password)
		}
		f(testPassword, "made the first operator")
		f(testPassword, "")
		f(otherPassword, "OAUTH2_SEED_PASSWORD has changed")
		if row := c.lastAudit(); row.Action != "user.seed" || row.Actor != "replica:r" {
			t.Errorf("got audit of %s by %s", row.Action, row.Actor)
		}
	})
}
