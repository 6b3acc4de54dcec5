package keys

import (
	"errors"
	"fmt"
	"slices"
)

// ErrText means that no secret that is given opens a sealed text, or that it was sealed for another owner.
var ErrText = errors.New("sealed text is damaged, of another owner, or of a secret that is not given")

// textPlace keeps texts apart from everything else that a secret seals.
const textPlace = "oauth2-server text of "

const (
	fingerprintBytes = 16
	minSealBytes     = fingerprintBytes + nonceBytes + tagBytes
)

// SealText seals a text that has to be read again, for its owner alone: for each secret its fingerprint and AES-256-GCM, all
// of one length. So replicas open it that have the newest secret only, and those that have not got it yet.
func (s Secrets) SealText(owner, text string) ([]byte, error) {
	if len(s.all()) == 0 {
		return nil, errors.New("seal a text: there is no secret: set OAUTH2_JWT_SECRET")
	}
	var sealed []byte
	for _, one := range s.all() {
		sealed = append(sealed, one.fingerprint...)
		sealed = append(sealed, one.aead.Seal(nil, nil, []byte(text), []byte(textPlace+owner))...)
	}
	return sealed, nil
}

// OpenText reads what SealText sealed for the owner. [ErrText].
func (s Secrets) OpenText(owner string, sealed []byte) (string, error) {
	for _, one := range s.all() {
		if text, ok := one.openText(owner, sealed); ok {
			return text, nil
		}
	}
	return "", fmt.Errorf("open a text of %q: %w", owner, ErrText)
}

// ResealText is the text sealed anew where the first secret does not open it, but another does; nil where it does. As with
// keys ([Missing]), older secrets can then be dropped. [ErrText].
func (s Secrets) ResealText(owner string, sealed []byte) ([]byte, error) {
	text, err := s.OpenText(owner, sealed)
	if err != nil {
		return nil, err
	}
	if _, ok := s.all()[0].openText(owner, sealed); ok {
		return nil, nil
	}
	return s.SealText(owner, text)
}

// BareText is the text sealed anew where it has a seal of a secret that is not given; nil where it has none. As with keys ([Surplus]), what
// older secrets open is gone then. [ErrText].
func (s Secrets) BareText(owner string, sealed []byte) ([]byte, error) {
	text, err := s.OpenText(owner, sealed)
	if err != nil {
		return nil, err
	}
	left := len(sealed)
	for _, one := range s.all() {
		if _, ok := one.openText(owner, sealed); ok {
			left -= minSealBytes + len(text)
		}
	}
	if left == 0 {
		return nil, nil
	}
	return s.SealText(owner, text)
}

// openText opens the seal of this secret. How many there are is not written: their common length tells, and the seal itself is the proof.
func (one *secret) openText(owner string, sealed []byte) (string, bool) {
	for n := 1; n*minSealBytes <= len(sealed); n++ {
		if len(sealed)%n != 0 {
			continue
		}
		for seal := range slices.Chunk(sealed, len(sealed)/n) {
			if string(seal[:fingerprintBytes]) != one.fingerprint {
				continue
			}
			text, err := one.aead.Open(nil, nil, seal[fingerprintBytes:], []byte(textPlace+owner))
			if err == nil {
				return string(text), true
			}
		}
	}
	return "", false
}
