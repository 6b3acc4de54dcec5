package main

import (
	"fmt"
	"os"

	"oauth2-server/hotpath"
	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/pages"
)

// newFront is what the public listener has for people.
func newFront(c *Config, db database, door *login.Door, sessions *login.Sessions) (*hotpath.Front, error) {
	brand, err := c.brand()
	if err != nil {
		return nil, err
	}
	return &hotpath.Front{
		Store: db, Sessions: sessions, Door: door, Brand: brand,
		AnyHost: c.PublicBaseURL == "",
	}, nil
}

// brand reads the logo.
func (c *Config) brand() (pages.Brand, error) {
	b := pages.Brand{Name: c.BrandName, Color: c.BrandColor}
	if c.BrandLogo == "" {
		return b, nil
	}
	var err error
	if b.Logo, err = os.ReadFile(c.BrandLogo); err != nil {
		return b, fmt.Errorf("OAUTH2_BRAND_LOGO_FILE: %w", err)
	}
	if err := b.Validate(); err != nil {
		return b, fmt.Errorf("OAUTH2_BRAND_LOGO_FILE: %w", err)
	}
	return b, nil
}
