package keys

import (
	"errors"
	"fmt"
)

// ErrText means that no secret that is given opens a sealed text, or that it was sealed for another owner.
var ErrText = errors.New("sealed text is damaged, of another owner, or of a secret that is not given")

// textPlace keeps texts apart from everything else that a secret seals.
const textPlace = "oauth2-server text of "

// SealText seals a text that has to be read again, for its owner alone: the first secret's fingerprint, then AES-256-GCM.
func (s Secrets) SealText(owner, text string) ([]byte, error) {
	all := s.all()
	if len(all) == 0 {
		return nil, errors.New("seal a text: there is no secret: set OAUTH2_JWT_SECRET")
	}
	return all[0].aead.Seal([]byte(all[0].fingerprint), nil, []byte(text), []byte(textPlace+owner)), nil
}

// OpenText reads what SealText sealed for the owner. [ErrText].
func (s Secrets) OpenText(owner string, sealed []byte) (string, error) {
	for _, one := range s.all() {
		if len(sealed) < len(one.fingerprint) || string(sealed[:len(one.fingerprint)]) != one.fingerprint {
			continue
		}
		text, err := one.aead.Open(nil, nil, sealed[len(one.fingerprint):], []byte(textPlace+owner))
		if err != nil {
			return "", fmt.Errorf("open a text of %q: %w", owner, ErrText)
		}
		return string(text), nil
	}
	return "", fmt.Errorf("open a text of %q: %w", owner, ErrText)
}
