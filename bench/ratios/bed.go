package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"oauth2-server/deploy/private"
)

// bed is everything that runs during a measurement.
type bed struct {
	folder   string
	postgres *private.Postgres
	redis    *private.Redis
	replicas []*exec.Cmd
	urls     []string
	empty    net.Listener // an empty fasthttp handler: the floor
	secret   map[string]string
	env      []string
	binary   string
}

// newBed starts Postgres and Redis with their defaults (durable), three replicas (as they come; without L1; without L1 and
// Redis), and the empty handler.
func newBed(ctx context.Context, binary string) (b *bed, err error) {
	b = &bed{binary: binary, secret: map[string]string{}}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.folder, err = os.MkdirTemp("", "ratios-*"); err != nil {
		return b, err
	}
	if b.postgres, err = private.StartPostgres(""); err != nil {
		return b, err
	}
	if b.redis, err = private.StartRedis(); err != nil {
		return b, err
	}
	database, err := b.postgres.NewDatabase()
	if err != nil {
		return b, err
	}
	b.env = append(os.Environ(), "OAUTH2_DATABASE_URL="+database, "OAUTH2_REDIS_URL="+b.redis.URL(),
		"OAUTH2_JWT_SECRET=5up3rs3cr3t-for-a-measurement-of-throughput", "OAUTH2_SERVER_PUBLIC_BASE_URL=http://ratios.test",
		"OAUTH2_SESSION_KEY=5e5510n-k3y-for-a-measurement-of-throughput", "OAUTH2_SEED_PASSWORD=nobody signs in here", "OAUTH2_ADMIN_PORT=0")
	if _, err := b.command(ctx, "migrate"); err != nil {
		return b, err
	}
	for _, format := range []string{"opaque", "jwt"} {
		out, err := b.command(ctx, "client", "create", "--id", format, "--scope", "read write", "--token-format", format, "--json")
		if err != nil {
			return b, err
		}
		var created struct {
			Secret string `json:"client_secret"`
		}
		if err := json.Unmarshal(out, &created); err != nil {
			return b, fmt.Errorf("client create: %w", err)
		}
		b.secret[format] = created.Secret
	}
	for _, extra := range [][]string{nil, {"OAUTH2_CACHE_MIB=0"}, {"OAUTH2_CACHE_MIB=0", "OAUTH2_REDIS_URL="}} {
		if err := b.startReplica(ctx, extra); err != nil {
			return b, err
		}
	}
	return b, b.startEmpty()
}

func (b *bed) command(ctx context.Context, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, b.binary, args...)
	command.Env = b.env
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(args[:1], " "), err, &stderr)
	}
	return out, nil
}

func (b *bed) startReplica(ctx context.Context, extra []string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(b.folder, fmt.Sprintf("replica-%d.log", len(b.replicas))))
	if err != nil {
		return err
	}
	defer log.Close()
	replica := exec.Command(b.binary, "serve")
	replica.Env = append(append(slices.Clone(b.env), extra...), fmt.Sprintf("OAUTH2_SERVER_PORT=%d", port))
	replica.Stderr = log
	replica.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := replica.Start(); err != nil {
		return err
	}
	b.replicas = append(b.replicas, replica)
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	b.urls = append(b.urls, url)
	return awaitReady(ctx, url)
}

func awaitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if answer, err := http.Get(url + "/ready"); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("%s does not become ready", url)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (b *bed) startEmpty() (err error) {
	if b.empty, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	go func() {
		_ = fasthttp.Serve(b.empty, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString(`{"status":"healthy"}`) })
	}()
	return nil
}

// issue gets n tokens of a format from a replica.
func (b *bed) issue(url, format string, n int) ([]string, error) {
	tokens := make([]string, n)
	for i := range tokens {
		request, err := http.NewRequest(http.MethodPost, url+"/oauth/token", strings.NewReader("grant_type=client_credentials"))
		if err != nil {
			return nil, err
		}
		request.SetBasicAuth(format, b.secret[format])
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		var token struct {
			Text string `json:"access_token"`
		}
		if err != nil || json.Unmarshal(body, &token) != nil || token.Text == "" {
			return nil, fmt.Errorf("issue %s: %s", format, body)
		}
		tokens[i] = token.Text
	}
	return tokens, nil
}

// close ends everything that was started.
func (b *bed) close() {
	for _, replica := range b.replicas {
		_ = replica.Process.Signal(syscall.SIGTERM)
		_ = replica.Wait()
	}
	if b.empty != nil {
		b.empty.Close()
	}
	if b.redis != nil {
		b.redis.Close()
	}
	if b.postgres != nil {
		b.postgres.Close()
	}
	os.RemoveAll(b.folder)
}
