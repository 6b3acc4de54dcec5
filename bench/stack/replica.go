package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"oauth2-server/deploy/private"
)

// A Replica is one server process of the stack. It keeps its port through restarts.
type Replica struct {
	addr    string // host:port
	admin   string // host:port of the listener for operators
	program *private.Program
}

// startReplicas starts all at once.
func (s *Stack) startReplicas(context.Context) error {
	type started struct {
		i   int
		r   *Replica
		err error
	}
	all := make(chan started)
	for i := range s.options.Replicas {
		go func() {
			r, err := s.startReplica(i)
			all <- started{i, r, err}
		}()
	}
	replicas := make([]*Replica, s.options.Replicas)
	var errs []error
	for range replicas {
		one := <-all
		replicas[one.i] = one.r
		errs = append(errs, one.err)
	}
	for _, r := range replicas {
		if r != nil {
			s.replicas = append(s.replicas, r) // those that run, to be closed
		}
	}
	return errors.Join(errs...)
}

func (s *Stack) startReplica(i int) (*Replica, error) {
	port, err := private.FreePort()
	if err != nil {
		return nil, err
	}
	adminPort, err := private.FreePort()
	if err != nil {
		return nil, err
	}
	r := &Replica{addr: local(port), admin: local(adminPort)}
	r.program, err = private.StartProgram(private.ProgramOptions{
		Name:    fmt.Sprintf("replica-%d", i),
		Line:    []string{s.options.Binary, "serve"},
		Env:     append(s.env[:len(s.env):len(s.env)], "OAUTH2_SERVER_PORT="+strconv.Itoa(port), "OAUTH2_ADMIN_PORT="+strconv.Itoa(adminPort)),
		Answers: r.Ready,
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// URL is where the replica listens.
func (r *Replica) URL() string { return "http://" + r.addr }

// Pid is its process.
func (r *Replica) Pid() int { return r.program.Pid() }

// Kill kills it (SIGKILL); it is gone when Kill returns.
func (r *Replica) Kill() { r.program.Kill() }

// Terminate ends it as a rollout does (SIGTERM); it is gone when Terminate returns without an error.
func (r *Replica) Terminate(ctx context.Context) error { return r.program.Terminate(ctx) }

// Restart starts it again on its port, killing it before if it runs; it is ready when Restart returns.
func (r *Replica) Restart() error { return r.program.Restart() }

// Ready is nil when the replica says on /ready that it lacks nothing it needs.
func (r *Replica) Ready(ctx context.Context) error {
	return r.get(ctx, "/ready", func(io.Reader) error { return nil })
}

// Metrics is what the replica tells on /metrics, by the series' name with its labels: `name{label="value"}`.
func (r *Replica) Metrics(ctx context.Context) (map[string]float64, error) {
	all := map[string]float64{}
	err := r.get(ctx, "/metrics", func(body io.Reader) error {
		lines := bufio.NewScanner(body)
		for lines.Scan() {
			// The value follows the last space: a label's value may hold some.
			if i := strings.LastIndexByte(lines.Text(), ' '); i > 0 && lines.Text()[0] != '#' {
				if value, err := strconv.ParseFloat(lines.Text()[i+1:], 64); err == nil {
					all[lines.Text()[:i]] = value
				}
			}
		}
		return lines.Err()
	})
	return all, err
}

// plain keeps no connection: a replica may be killed at any moment, and a connection kept would tell of the one before.
var plain = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// get hands the body of a 200 to read.
func (r *Replica) get(ctx context.Context, path string, read func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL()+path, nil)
	if err != nil {
		return err
	}
	answer, err := plain.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // what there is of it is told
		return fmt.Errorf("%s answers %s: %s", path, answer.Status, text)
	}
	return read(answer.Body)
}
