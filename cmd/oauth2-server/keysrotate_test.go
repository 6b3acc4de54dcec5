package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

func TestKeysRotateWaitsForPublication(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		c.ring()
		want(t, c.refused("keys", "rotate"), "sign key is not published long enough", "UTC", "--emergency", "leaked")
		c.wantStates(0, 0)
	})
	t.Run("configured", func(t *testing.T) {
		c := newConsole(t, "OAUTH2_KEY_PUBLISH_AHEAD=3h")
		c.published(2 * time.Hour)
		want(t, c.refused("keys", "rotate", "--use", "sign"), "not published long enough")
		c.must("keys", "rotate", "--use", "mac")
		if got := c.states(); got["mac retiring"] != 1 || got["sign retiring"] != 0 {
			t.Errorf("got %v, want the MAC key alone rotated", got)
		}
	})
}

func TestKeysRotate(t *testing.T) {
	onEachStore(t, func(t *testing.T, c *console) {
		c.published(2 * time.Hour)
		before := time.Now()
		want(t, c.must("keys", "rotate"), "stay active until they expire", "retiring", "active", "next")
		c.wantAudit("keys.rotate")
		c.wantStates(2, 0)
		want(t, c.must("keys", "list"), "SINCE", "UNTIL")
		for _, k := range decodeJSON[[]keys.Listed](t, c.must("keys", "list", "--json")) {
			if k.Since.Before(before.Add(-time.Minute)) {
				t.Errorf("a %s key is in its state since %v, want now", k.State, k.Since)
			}
			if k.State == store.KeyRetiring && k.Until.Before(before.Add(store.MaxTokenLife)) {
				t.Errorf("a key retires at %v, before its last token is dead", k.Until)
			}
		}
		want(t, c.refused("keys", "rotate", "--use", "encrypt"), "neither sign nor mac")
	})
}

func TestKeysRotateEmergencyAsksFirst(t *testing.T) {
	c := newConsole(t)
	c.published(time.Minute) // not long enough but in an emergency
	for use, text := range map[string]string{"": "Every token", "sign": "Every JWT", "mac": "Every opaque token"} {
		status, _, errOut := c.run("no\n", "keys", "rotate", "--emergency", "--use", use)
		want(t, errOut, text, "inactive on every replica", "nothing was done")
		if status != 1 {
			t.Errorf("got status %d, want 1", status)
		}
	}
	c.wantStates(0, 0)
	status, out, errOut := c.run("yes\n", "keys", "rotate", "--emergency")
	want(t, out, "is inactive", "5 minutes", "retired")
	if status != 0 {
		t.Errorf("got status %d: %s", status, errOut)
	}
	c.wantStates(0, 2)
	want(t, c.refused("keys", "rotate", "--emergency", "--yes"), "not published long enough") // no replica may have missed the next key
	c.wantStates(0, 2)
}

func TestKeysRotateAnswersInJSON(t *testing.T) {
	c := newConsole(t)
	c.published(2 * time.Hour)
	answer := decodeJSON[struct{ Keys []keys.Listed }](t, c.must("keys", "rotate", "--emergency", "--yes", "--json"))
	count := map[string]int{}
	for _, k := range answer.Keys {
		count[k.State]++
	}
	if len(answer.Keys) != 6 || count[store.KeyRetired] != 2 || count[store.KeyActive] != 2 || count[store.KeyNext] != 2 {
		t.Errorf("got %v of %d keys", count, len(answer.Keys))
	}
}

// A shell without the servers' OAUTH2_JWT_ALG must not end the keys that they sign with.
func TestKeysRotateGuessesNoAlg(t *testing.T) {
	c := newConsole(t)
	c.published(3 * time.Hour)
	c.env = append(c.env, "OAUTH2_JWT_ALG=PS256")
	c.published(2 * time.Hour)
	shell := &console{t: t, env: c.env[:len(c.env)-1]}
	want(t, shell.refused("keys", "rotate"), "active PS256 key", "OAUTH2_JWT_ALG")
	want(t, c.must("keys", "rotate"), "PS256", "ES256")
	got := c.states()
	if got["sign active"] != 2 || got["sign retiring"] != 2 || got["sign retired"] != 0 {
		t.Errorf("got %v, want the keys of both rotated: the algorithm before signs id_tokens still", got)
	}
}

func TestKeysRotateNeedsADatabase(t *testing.T) {
	c := &console{t: t, env: append([]string{"OAUTH2_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "oauth2.db")}, testEnv...)}
	want(t, c.refused(strings.Fields("keys rotate --emergency --yes")...), "no database at", "oauth2-server migrate")
}

// The store does not know whether servers sign with HS256: its keys are not in the ring. A rotation says what it did, and what not.
func TestKeysRotateNamesWhatItRotates(t *testing.T) {
	rotate := func(env []string, args ...string) (errOut string, answer struct {
		Algs []string
		Note string
	},
	) {
		t.Helper()
		c := newConsole(t, env...)
		c.published(2 * time.Hour)
		if err := keys.EnsureIDTokens(t.Context(), c.open(), rotator, c.config().secrets, time.Now().Add(-2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		_, _, errOut = c.run("no\n", "keys", "rotate", "--emergency")
		return errOut, decodeJSON[struct {
			Algs []string
			Note string
		}](t, c.must(append([]string{"keys", "rotate", "--json"}, args...)...))
	}
	asked, unset := rotate(nil)
	want(t, strings.Join(unset.Algs, " "), "ES256 EdDSA HMAC-SHA-256 RS256")
	want(t, unset.Note, "If the servers have HS256", "is not rotated", "OAUTH2_JWT_SECRET")
	want(t, asked, unset.Note)
	if _, mac := rotate(nil, "--use", "mac"); mac.Note != "" || len(mac.Algs) != 1 {
		t.Errorf("of opaque tokens: got %+v", mac)
	}
	if asked, set := rotate([]string{"OAUTH2_JWT_ALG=ES256"}); set.Note != "" || strings.Contains(asked, "HS256") {
		t.Errorf("with the algorithm of the servers: got %+v, %s", set, asked)
	}
	asked, shared := rotate([]string{"OAUTH2_JWT_ALG=HS256"}, "--use", "sign")
	want(t, strings.Join(shared.Algs, " "), "ES256 EdDSA RS256")
	want(t, shared.Note, "The key of HS256, which signs access tokens, is not rotated")
	want(t, asked, shared.Note)

	c := newConsole(t)
	c.published(2 * time.Hour)
	want(t, c.must("keys", "rotate"), "active for ES256, HMAC-SHA-256.", "If the servers have HS256")
}
