package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// A keyPair is the certificate of both listeners, and its key. Connections that there are keep the one they began with.
type keyPair struct {
	now atomic.Pointer[tls.Certificate]
}

// openKeyPair loads it; nil where the listeners speak plain HTTP.
func openKeyPair(c *Config, set *metrics.Set, log *slog.Logger) (*keyPair, error) {
	pair, err := loadPair(c)
	if pair == nil || err != nil {
		return nil, err
	}
	warnOfTime(pair, log)
	s := new(keyPair)
	s.take(pair)
	set.NewGauge("oauth2_server_tls_certificate_expires_timestamp_seconds", func() float64 { return float64(s.until().Unix()) })
	return s, nil
}

// loadPair reads the files; nil where there are none. A key that is not the certificate's is a fault.
func loadPair(c *Config) (*tls.Certificate, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("OAUTH2_TLS_CERT_FILE and OAUTH2_TLS_KEY_FILE: %w", err)
	}
	return &pair, nil
}

// warnOfTime: an expired certificate is better than none, and some clients do not look.
func warnOfTime(pair *tls.Certificate, log *slog.Logger) {
	if now := time.Now(); now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		log.Warn("the certificate of OAUTH2_TLS_CERT_FILE is not valid at this time", "from", pair.Leaf.NotBefore, "until", pair.Leaf.NotAfter)
	}
}

func (s *keyPair) take(pair *tls.Certificate) { s.now.Store(pair) }

// until is when the certificate ends; the zero time without one.
func (s *keyPair) until() time.Time {
	if s == nil {
		return time.Time{}
	}
	return s.now.Load().Leaf.NotAfter
}

// config is for listeners; nil without a certificate.
func (s *keyPair) config() *tls.Config {
	if s == nil {
		return nil
	}
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.now.Load(), nil },
		MinVersion:     tls.VersionTLS12,
	}
}
