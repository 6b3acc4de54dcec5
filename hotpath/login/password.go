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
	minWeight   = 8 // characters that are neither of a well-known word, nor go on with a run or a walk over the keyboard
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
		return errors.New("is well known or follows a pattern: well-known words, runs, neighbouring keys and repetitions count for nothing")
	}
	return nil
}

// wellKnown is what guessing begins with, in lower case and without separators, a word before those that are part of it.
var wellKnown = strings.Fields(`
	correcthorsebatterystaple administrator administrador production qwertyuiop operator passphrase iloveyou superuser asdfghjkl
	postgresql sunshine password passwort trustno dragon monkey master shadow qwertz qwerty zxcvbnm azerty welcome changeit
	changeme replaceme default example letmein service starwars football baseball princess whatever postgres temporary testing
	oauth server secret please passwd change access public system insecure replace guest login hello admin token redis local
	spring summer autumn winter january february august september october november december
	value your here this prod demo root seed test user pass abc me my`)

// disguises is how letters are replaced in passwords that only look hard to guess.
var disguises = strings.NewReplacer("@", "a", "4", "a", "3", "e", "!", "i", "1", "i", "0", "o", "$", "s", "5", "s", "7", "t")

// separators stand between words and hide none.
var separators = strings.NewReplacer(" ", "", "-", "", "_", "", ".", "", ",", "", ":", "", ";", "", "/", "", "+", "")

// keyboard is the rows of keys, the first with and without shift.
var keyboard = [...]string{"!@#$%^&*()", "1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"}

// weight is how many characters somebody has to guess.
func weight(text string) int {
	count, walked, before := 0, 0, rune(taken)
	for _, r := range withoutWords(separators.Replace(strings.ToLower(text))) {
		switch step := r - before; {
		case r == taken:
			walked = 0
		case step >= -1 && step <= 1:
		case !neighbours(before, r):
			count, walked = count+1, 0
		default:
			if walked++; walked == 1 { // two keys side by side are chance
				count++
			} else if walked == 2 { // three are a walk: only its first counts
				count--
			}
		}
		before = r
	}
	return count
}

// neighbours reports whether two keys touch, as those of 1q2w3e and of qaz do.
func neighbours(a, b rune) bool {
	rowA, columnA := keyOf(a)
	rowB, columnB := keyOf(b)
	return rowA >= 0 && rowB >= 0 && max(rowA-rowB, rowB-rowA) <= 1 && max(columnA-columnB, columnB-columnA) <= 1
}

// keyOf is where a key is; row -1: nowhere.
func keyOf(r rune) (row, column int) {
	for i, keys := range keyboard {
		if at := strings.IndexRune(keys, r); at >= 0 {
			return max(i, 1), at
		}
	}
	return -1, 0
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
