package keys

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// A sealed text is its owner's alone, opens with every secret that is given, and with no other.
func TestTextIsSealedForItsOwner(t *testing.T) {
	const older, newer = "the older secret of the tests 0123456789", "the newer secret of the tests 0123456789"
	parse := func(text string) Secrets {
		t.Helper()
		s, err := ParseSecrets(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	old, both, young := parse(older), parse(newer+","+older), parse(newer)
	sealed, err := old.SealText("app", "the text")
	if err != nil || bytes.Contains(sealed, []byte("the text")) {
		t.Fatalf("got %q, %v", sealed, err)
	}
	for name, s := range map[string]Secrets{"its own": old, "both": both} {
		if text, err := s.OpenText("app", sealed); err != nil || text != "the text" {
			t.Errorf("%s: got %q, %v", name, text, err)
		}
	}
	refused := func(name string, s Secrets, owner string, sealed []byte) {
		t.Helper()
		if text, err := s.OpenText(owner, sealed); !errors.Is(err, ErrText) || text != "" || strings.Contains(err.Error(), "the text") {
			t.Errorf("%s: got %q, %v", name, text, err)
		}
	}
	refused("another secret", young, "app", sealed)
	refused("no secret", Secrets{}, "app", sealed)
	refused("another owner", old, "other", sealed)
	refused("nothing", old, "app", nil)
	for i := range sealed {
		damaged := bytes.Clone(sealed)
		damaged[i] ^= 1
		refused("damaged", old, "app", damaged)
		refused("cut", old, "app", sealed[:i])
	}
	if next, err := both.SealText("app", "the text"); err != nil {
		t.Error(err)
	} else if _, err := young.OpenText("app", next); err != nil {
		t.Errorf("the newest secret does not seal: %v", err)
	}
	if _, err := (Secrets{}).SealText("app", "x"); err == nil {
		t.Error("sealed without a secret")
	}
}

func TestBareTextIsForTheGivenAlone(t *testing.T) {
	both, young, old := secrets(t, newText+","+oldText), secrets(t, newText), secrets(t, oldText)
	sealed, err := both.SealText("app", "the text")
	if err != nil {
		t.Fatal(err)
	}
	bare, err := young.BareText("app", sealed)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := young.OpenText("app", bare); err != nil || text != "the text" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := old.OpenText("app", bare); !errors.Is(err, ErrText) {
		t.Errorf("the old secret opens it: %v", err)
	}
	for _, s := range []Secrets{both, young} {
		sealed, err := s.SealText("app", "the text")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.BareText("app", sealed); err != nil || again != nil {
			t.Errorf("got %d bytes, %v, want nothing to do", len(again), err)
		}
	}
	third := secrets(t, newText+","+strings.Repeat("third", 8))
	if bare, err := third.BareText("app", sealed); err != nil || bare == nil {
		t.Errorf("got %d bytes, %v: as many seals as secrets, one of them of another", len(bare), err)
	}
	if _, err := young.BareText("other", sealed); !errors.Is(err, ErrText) {
		t.Errorf("got %v of another owner", err)
	}
}
