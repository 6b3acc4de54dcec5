package pages

import (
	"encoding/hex"
	"fmt"
	"math"
)

// color is of sRGB.
type color [3]byte

var (
	white     = color{0xff, 0xff, 0xff}
	black     = color{}
	pageLight = white
	pageDark  = color{0x1c, 0x1f, 0x24} // as in style.css
)

// readable is the least contrast of text (WCAG 2.2 §1.4.3, level AA).
const readable = 4.5

func parseColor(text string) (color, error) {
	var c color
	if len(text) != 7 || text[0] != '#' {
		return c, fmt.Errorf("a colour is written #rrggbb, not %.20q", text)
	}
	if _, err := hex.Decode(c[:], []byte(text[1:])); err != nil {
		return c, fmt.Errorf("a colour is written #rrggbb, not %.20q", text)
	}
	return c, nil
}

func (c color) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }

// luminance is the relative luminance of WCAG 2.2.
func (c color) luminance() float64 {
	var linear [3]float64
	for i, b := range c {
		v := float64(b) / 255
		if v <= 0.04045 {
			linear[i] = v / 12.92
		} else {
			linear[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}

// contrast is the contrast ratio of WCAG 2.2, from 1 to 21.
func contrast(a, b color) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// ink is the colour of text on c: one of black and white is readable on any colour.
func (c color) ink() color {
	if contrast(c, white) >= readable {
		return white
	}
	return black
}

// against is c as text on a background: as it is, or mixed with ink until it can be read.
func (c color) against(background color) color {
	toward := background.ink()
	for share := 0.0; share < 1; share += 0.05 {
		if mixed := c.mix(toward, share); contrast(mixed, background) >= readable {
			return mixed
		}
	}
	return toward
}

// mix is c with a share of other in it, 0 to 1.
func (c color) mix(other color, share float64) color {
	share = min(share, 1)
	for i := range c {
		c[i] = byte(math.Round(float64(c[i])*(1-share) + float64(other[i])*share))
	}
	return c
}
