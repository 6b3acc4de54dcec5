package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"oauth2-server/store"
)

// stepHTTP is the last step of the way to the public URL: it answers, and what is wanted.
const stepHTTP = "http"

// maxDocument bounds what is read of an answer. Our own metadata has 4 KiB.
const maxDocument = 256 << 10

// lookAtPublic asks what clients ask first. The client is plain: it may ask this very machine, as the operator tells it to, and
// follows nobody elsewhere.
func (s *Sources) lookAtPublic(ctx context.Context) (func(*Facts), error) {
	client := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: partPatience, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	p := &Public{URL: strings.TrimRight(s.URL, "/")}
	if err := p.look(ctx, client); err != nil {
		p.Fault = wayFault(err)
	}
	return func(f *Facts) { f.Public = p }, nil
}

func (p *Public) look(ctx context.Context, client *http.Client) error {
	var metadata struct {
		Issuer string `json:"issuer"`
	}
	if err := p.get(ctx, client, "/.well-known/openid-configuration", &metadata); err != nil {
		return err
	}
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	// Not the jwks_uri of the metadata: it begins with the issuer, which need not be reachable from here.
	if err := p.get(ctx, client, "/.well-known/jwks.json", &set); err != nil {
		return err
	}
	p.Issuer, p.Keys = metadata.Issuer, []string{}
	for _, key := range set.Keys {
		p.Keys = append(p.Keys, key.ID)
	}
	return nil
}

// get decodes a document, and looks at the certificate on the way.
func (p *Public) get(ctx context.Context, client *http.Client, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+path, nil)
	if err != nil {
		return &Fault{stepHTTP, "the URL is not understood"}
	}
	request.Header.Set("User-Agent", "oauth2-server doctor")
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.TLS != nil && len(answer.TLS.PeerCertificates) > 0 {
		p.TLSUntil = answer.TLS.PeerCertificates[0].NotAfter
	}
	if answer.StatusCode != http.StatusOK {
		return &Fault{stepHTTP, fmt.Sprintf("%s answers %d", path, answer.StatusCode)}
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxDocument)).Decode(into); err != nil {
		return &Fault{stepHTTP, path + " answers no JSON: something else than this server is behind the URL"}
	}
	return nil
}

func (f *Fault) Error() string { return f.String() }

// wayFault is the step at which a request ended.
func wayFault(err error) *Fault {
	if fault, ok := errors.AsType[*Fault](err); ok {
		return fault
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the URL
	}
	text := err.Error()
	switch {
	case isCertificate(err):
		return &Fault{store.StepTLS, text}
	case errors.Is(err, context.DeadlineExceeded):
		return &Fault{stepHTTP, "no answer in time"}
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return &Fault{store.StepName, text}
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return &Fault{store.StepTCP, text}
	}
	return &Fault{stepHTTP, text}
}

// isCertificate reports a certificate that is not believed, and a server that speaks no TLS.
func isCertificate(err error) bool {
	_, bad := errors.AsType[*tls.CertificateVerificationError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	return bad || plain || host
}
