package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"

	"oauth2-server/bench/target"
)

// issuer is the public URL of the stack: replicas share one, though each has an address of its own.
const issuer = "http://bench.test"

// operator is the client that may use the listeners for operators.
const operator = "bench-operator"

// readWrite is what clients of the load may ask for.
const readWrite = "--scope=read write"

// prepare makes the schema, the clients and a user.
func (s *Stack) prepare(ctx context.Context) (err error) {
	s.env = append(s.env, "OAUTH2_JWT_SECRET=5up3rs3cr3t-for-a-stack-that-lives-for-minutes", "OAUTH2_SERVER_PUBLIC_BASE_URL="+issuer,
		"OAUTH2_SESSION_KEY=5e5510n-k3y-for-a-stack-that-lives-for-minutes", "OAUTH2_SEED_PASSWORD=nobody signs in to a stack", "OAUTH2_ADMIN_CLIENT_IDS="+operator)
	s.env = append(s.env, s.options.Env...)
	if _, err := s.Command(ctx, "migrate"); err != nil {
		return err
	}
	if s.Opaque, err = s.newClient(ctx, "bench", readWrite, "--token-format", "opaque"); err != nil {
		return err
	}
	if s.JWT, err = s.newClient(ctx, "bench-jwt", readWrite, "--token-format", "jwt"); err != nil {
		return err
	}
	if s.Gateway, err = s.newClient(ctx, "bench-gateway", readWrite, "--introspect", "any"); err != nil {
		return err
	}
	if s.operator, err = s.newClient(ctx, operator, "--scope=admin"); err != nil {
		return err
	}
	return s.preparePeople(ctx)
}

// preparePeople makes a user, and a client of the operator's own: consent is not asked for.
func (s *Stack) preparePeople(ctx context.Context) (err error) {
	s.App.Redirect = "https://app.bench.test/callback" // nobody goes there: codes are read from where browsers are sent
	s.App.Client, err = s.newClient(ctx, "bench-app", readWrite, "--token-format", "opaque", "--grant", "authorization_code",
		"--grant", "refresh_token", "--redirect-uri", s.App.Redirect, "--trusted")
	if err != nil {
		return err
	}
	s.Person = target.Person{Name: "bench", Password: "in by the front door"}
	_, err = s.Command(ctx, "user", "create", "--username", s.Person.Name, "--password", s.Person.Password)
	return err
}

func (s *Stack) newClient(ctx context.Context, id string, flags ...string) (target.Client, error) {
	line := append([]string{"client", "create", "--json", "--id", id}, flags...)
	out, err := s.Command(ctx, line...)
	if err != nil {
		return target.Client{}, err
	}
	var created struct {
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(out, &created); err != nil {
		return target.Client{}, fmt.Errorf("create client %s: %w", id, err)
	}
	return target.Client{ID: id, Secret: created.Secret}, nil
}

// Command runs the server's command line on the stack's database, and is what it prints to standard output.
func (s *Stack) Command(ctx context.Context, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, s.options.Binary, args...)
	command.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH")}, s.env)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a ^C at the terminal is for us
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s %s: %w: %s", s.options.Binary, args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
