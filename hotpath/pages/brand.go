package pages

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"strings"
)

// A Brand is how an operator wants the pages to look.
type Brand struct {
	Name  string // at the head
	Logo  []byte // PNG or SVG; nil: none
	Color string // #rrggbb, of buttons and links; "": blue
}

// MaxLogo bounds a logo, in bytes: it is part of every page.
const MaxLogo = 64 << 10

// defaultColor is of a brand that has none.
const defaultColor = "#1f5fbf"

// brand is a Brand as the templates use it.
type brand struct {
	Name                    string
	Logo                    template.URL // data URI; "": none
	button, onButton        color
	accentLight, accentDark color // of links and of what has the focus, on each background
}

// Validate says what is wrong with the brand.
func (b Brand) Validate() error {
	_, err := b.prepare()
	return err
}

func (b Brand) prepare() (brand, error) {
	logo, err := logoURI(b.Logo)
	if err != nil {
		return brand{}, err
	}
	c, err := parseColor(cmp.Or(b.Color, defaultColor))
	if err != nil {
		return brand{}, err
	}
	return brand{
		Name: b.Name, Logo: logo, button: c, onButton: c.ink(),
		accentLight: c.against(pageLight), accentDark: c.against(pageDark),
	}, nil
}

// variables is what the style takes from the brand.
func (b *brand) variables() string {
	return fmt.Sprintf(":root{--button:%s;--on-button:%s;--accent:%s}@media(prefers-color-scheme:dark){:root{--accent:%s}}\n",
		b.button, b.onButton, b.accentLight, b.accentDark)
}

// logoURI puts a logo into a data URI. As an image nothing in an SVG runs, and nothing that it names is loaded.
func logoURI(logo []byte) (template.URL, error) {
	var kind string
	switch {
	case len(logo) == 0:
		return "", nil
	case len(logo) > MaxLogo:
		return "", fmt.Errorf("the logo has %d bytes, more than %d", len(logo), MaxLogo)
	case bytes.HasPrefix(logo, []byte("\x89PNG\r\n\x1a\n")):
		kind = "image/png"
	case isSVG(logo):
		kind = "image/svg+xml"
	default:
		return "", errors.New("the logo is neither PNG nor SVG")
	}
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(logo)), nil
}

func isSVG(logo []byte) bool {
	text := strings.TrimSpace(strings.TrimPrefix(string(logo), "\ufeff"))
	return strings.HasPrefix(text, "<") && strings.Contains(text, "<svg")
}
