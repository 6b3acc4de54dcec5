package login

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

func TestCheckPasswordRefuses(t *testing.T) {
	f := func(text string) {
		t.Helper()
		err := CheckPassword(text)
		if err == nil {
			t.Errorf("%q is accepted", text)
		} else if text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats %q", text)
		}
	}
	for _, short := range []string{"", "changeme", "h7Gd-q2kLw!", "äöüßäöüßx7!"} {
		f(short)
	}
	f(goodPassword + strings.Repeat("x7-", MaxPassword))
	f("h7Gd-q2kLw!\x00x")
	f("h7Gd-q2kLw!\nxyq")
	f("h7Gd-q2kLw!\xff\xfe")
	for _, known := range []string{
		"changemechangeme", "ChangeMe1234", "password1234", "PASSWORD1234", "P@ssw0rd1234", "Passw0rd!Passw0rd!", "administrator", "admin-admin-admin",
		"Administrator1!", "letmeinletmein", "welcome123456", "oauth2-server", "OAuth2Server2026", "qwertyuiop123", "MySecretPassword", "please-change-me",
		"adminpassword", "root1234root1234", "test-test-test", "correct1password", "correcthorsebatterystaple", "correct horse battery staple",
		"Summer2026!!!", "W-i-n-t-e-r-2026", "CHANGE_ME_IN_PROD", "replace-this-value", "your-password-here", "p.a.s.s.w.o.r.d.1.2.3", "insert your value here",
	} {
		f(known)
	}
	for _, pattern := range []string{
		"aaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaab", "123456789012", "012345678901234567890", "abcdefghijklmnop", "zyxwvutsrqponm", "abcabcabcabc",
		"1q2w3e4r5t6y", "q1w2e3r4t5y6", "1qaz2wsx3edc", "!QAZ2wsx#EDC", "qazwsxedcrfv", "1qaz2wsx3edc4rfv", "zaq12wsxcde3", "!@#$%^&*()_+", "poiuytrewqlkj",
		"abc123abc123abc123", "112233445566", "xk7vxk7vxk7vxk7v", "            ", "............1",
	} {
		f(pattern)
	}
}

func TestCheckPasswordAccepts(t *testing.T) {
	f := func(text string) {
		t.Helper()
		if err := CheckPassword(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	f(goodPassword)
	f("nobody signs in here")
	f("nobody signs in to a stack")
	f("our first operator's dog sings")
	f("83749182374918")
	f("grüße aus köln")
	f("パスワードは秘密のまま保つこと")
	f(strings.Repeat("h7Gd-q2kLw!x ", 19))
	for range 2000 { // what the messages advise to make
		var random [18]byte
		rand.Read(random[:])
		f(base64.StdEncoding.EncodeToString(random[:]))
		f(hex.EncodeToString(random[:]))
	}
}

func TestWellKnownWordsAreInOrder(t *testing.T) {
	for i, word := range wellKnown {
		for _, before := range wellKnown[:i] {
			if strings.Contains(word, before) {
				t.Errorf("%q is never found behind %q", word, before)
			}
		}
		if disguises.Replace(word) != word {
			t.Errorf("%q is never found: it is compared without disguise", word)
		}
	}
}

func FuzzCheckPassword(f *testing.F) {
	f.Add("P@ssw0rd1234")
	f.Add("grüße aus köln")
	f.Fuzz(func(t *testing.T, text string) {
		if CheckPassword(text) == nil && (len(text) < MinPassword || len(text) > MaxPassword) {
			t.Errorf("%q is accepted", text)
		}
	})
}
