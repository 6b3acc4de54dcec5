package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// probeTimeout is how long a probe waits: less than those who run it do.
const probeTimeout = 2 * time.Second

func newProbeCommand(environ []string) *cobra.Command {
	return &cobra.Command{
		Use:   "probe [PATH|URL]",
		Short: "Ask the server on this machine whether it is well",
		Long: "Ask the server on this machine whether it is well, for health checks in containers without a shell. It asks the public listener, where the\n" +
			"variables say that it is, for /health, or for PATH, such as '/ready?for=traffic'. The exit status is 0 for an answer below 400, else 1.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			config, _ := loadStoreConfig(environ) // faults are for serve to tell: the address is known all the same
			what := "/health"
			if len(args) > 0 {
				what = args[0]
			}
			return probe(command.Context(), config.local(), what)
		},
	}
}

// local is the URL of this machine's public listener.
func (c *Config) local() *url.URL {
	host := c.Host
	if address, err := netip.ParseAddr(host); err == nil && address.IsUnspecified() {
		host = "127.0.0.1"
		if address.Is6() {
			host = "::1"
		}
	}
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	return &url.URL{Scheme: scheme, Host: net.JoinHostPort(host, strconv.Itoa(c.Port))}
}

// probe gets what, which may be relative to local.
func probe(ctx context.Context, local *url.URL, what string) error {
	target, err := local.Parse(what)
	if err != nil {
		return fmt.Errorf("probe: not a path or a URL: %q", what)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	if target.Host == local.Host {
		// The certificate is of the public name, and who answers on this machine's own address is not in question.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("probe: %s answers %s", target, answer.Status)
	}
	return nil
}
