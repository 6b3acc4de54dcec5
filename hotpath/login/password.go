package login

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a password that somebody chose.
const (
	MinPassword = 12  // characters
	MaxPassword = 256 // bytes
)

const (
	minDistinct = 5 // different characters
	minWeight   = 8 // characters that are neither of a well-known word nor go on with a run
)

// CheckPassword says what is wrong with a password that somebody chose. The error does not repeat it.
func CheckPassword(text string) error {
	switch {
	case utf8.RuneCountInString(text) < MinPassword:
		return fmt.Errorf("has fewer than %d characters", MinPassword)
	case len(text) > MaxPassword:
		return fmt.Errorf("has more than %d bytes", MaxPassword)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("must be UTF-8 without control characters")
	case distinct(text) < minDistinct || weight(text) < minWeight:
		return errors.New("is well known or follows a pattern: well-known words, runs and repetitions count for nothing")
	}
	return nil
}

// wellKnown is what guessing begins with, in lower case, a word before those that are part of it.
var wellKnown = strings.Fields(`
	administrator administrador qwertyuiop operator passphrase iloveyou superuser asdfghjkl postgresql sunshine
	password passwort trustno dragon monkey master shadow qwertz qwerty zxcvbnm azerty welcome changeit changeme default
	example letmein service starwars football baseball princess whatever postgres temporary testing
	oauth server secret please passwd change access public system guest login hello admin token redis local
	demo root seed test user pass abc me my`)

// disguises is how letters are replaced in passwords that only look hard to guess.
var disguises = strings.NewReplacer("@", "a", "4", "a", "3", "e", "!", "i", "1", "i", "0", "o", "$", "s", "5", "s", "7", "t")

// weight is how many characters somebody has to guess.
func weight(text string) int {
	plain := strings.ToLower(text)
	count, before := 0, rune(0)
	for _, r := range withoutWords(plain) {
		if step := r - before; r != taken && (step < -1 || step > 1) {
			count++
		}
		before = r
	}
	return count
}

// taken stands where a word was: no password holds it.
const taken = '\x00'

// withoutWords is a text in lower case with taken in the place of each well-known word, however disguised.
func withoutWords(plain string) string {
	seen := disguises.Replace(plain) // byte for byte: places are the same in both
	for _, word := range wellKnown {
		for at := strings.Index(seen, word); at >= 0; at = strings.Index(seen, word) {
			seen = seen[:at] + string(taken) + seen[at+len(word):]
			plain = plain[:at] + string(taken) + plain[at+len(word):]
		}
	}
	return plain
}

func distinct(text string) int {
	different := map[rune]bool{}
	for _, r := range strings.ToLower(text) {
		different[r] = true
	}
	return len(different)
}
