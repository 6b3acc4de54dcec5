//go:build linux

package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"oauth2-server/bench/scenario"
	"oauth2-server/bench/slo"
	"oauth2-server/bench/target"
)

// A benchPlan is what the flags of a measuring command say.
type benchPlan struct {
	target   target.Options
	stack    bool
	binary   string
	replicas int

	rate        float64
	duration    time.Duration
	connections int
	quick       bool
	slo         string
	out         string

	given map[string]string // flags that were given, for the result; secrets left out
}

// register adds the flags of what is measured and how; the result goes to out by default.
func (p *benchPlan) register(command *cobra.Command, out string) {
	f := command.Flags()
	f.StringVar(&p.target.URL, "url", "", "the server to measure, instead of a stack; several replicas are separated by commas")
	f.StringVar(&p.target.ClientID, "client-id", "", "client at --url, which may use client_credentials and introspect its own tokens")
	f.StringVar(&p.target.ClientSecret, "client-secret", "", "its secret; - reads it from standard input")
	f.BoolVar(&p.target.AuthPost, "auth-post", false, "send the credentials in the body (client_secret_post) instead of the header")
	f.StringVar(&p.target.Scope, "scope", "", "scope to ask for; default: none, the server's own")
	f.StringVar(&p.target.TokenPath, "token-path", "", "path of the token endpoint; default: as its metadata document says, else /oauth/token")
	f.StringVar(&p.target.IntrospectPath, "introspect-path", "", "path of the introspection endpoint; default likewise")
	f.StringVar(&p.target.RevokePath, "revoke-path", "", "path of the revocation endpoint; default likewise")
	p.registerStack(f)
	p.registerLoad(f)
	f.StringVar(&p.out, "out", out, "file to write the result to, after each scenario")
}

func (p *benchPlan) registerStack(f *pflag.FlagSet) {
	f.BoolVar(&p.stack, "stack", false, "start a private Postgres, a Redis and replicas, and end them afterwards; this is the default")
	f.StringVar(&p.binary, "binary", "", "the server to start as replicas; default: this binary")
	f.IntVar(&p.replicas, "replicas", 3, "replicas to start; scenarios that need more start more")
}

func (p *benchPlan) registerLoad(f *pflag.FlagSet) {
	f.Float64Var(&p.rate, "rate", 0, "requests a second (open loop); default: the scenario's own")
	f.DurationVar(&p.duration, "duration", 0, "of the main phase; default: the scenario's own")
	f.IntVar(&p.connections, "connections", 0, "connections of the generator; default: the scenario's own")
	f.BoolVar(&p.quick, "quick", false, "a few seconds each: all scenarios take about four minutes")
	f.StringVar(&p.slo, "slo", "", "what to keep, like p99<5ms,errors<0.1%; metrics: p50 p90 p99 p99.9 max errors rate, and the scenario's facts; default: the scenario's own")
}

// prepare makes sure that the flags make sense, and reads the secret where it is given on standard input.
func (p *benchPlan) prepare(command *cobra.Command) (err error) {
	p.given = map[string]string{}
	command.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "client-secret" {
			p.given[f.Name] = f.Value.String()
		}
	})
	if err := p.check(); err != nil {
		return err
	}
	if p.binary, err = program(p.binary); err != nil {
		return fmt.Errorf("--binary: %w", err)
	}
	if _, err := slo.Parse(p.slo); err != nil {
		return fmt.Errorf("--slo: %w", err)
	}
	p.target.ClientSecret, err = readInput(p.target.ClientSecret, command.InOrStdin())
	return err
}

// program is the absolute path of a program that can be started; "" stays.
func program(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(found)
}

// check is a table of what may be wrong.
func (p *benchPlan) check() error {
	for _, rule := range []struct {
		bad     bool
		problem string
	}{
		{p.target.URL != "" && p.stack, "--url and --stack exclude each other"},
		{p.target.URL != "" && (p.target.ClientID == "" || p.target.ClientSecret == ""), "--url needs --client-id and --client-secret"},
		{p.target.URL == "" && (p.target.ClientID != "" || p.target.ClientSecret != ""), "--client-id and --client-secret are for --url: a stack has clients of its own"},
		{p.target.URL != "" && p.binary != "", "--binary is for a stack: leave out --url"},
		{p.replicas < 1 || p.replicas > 64, "--replicas must be 1 to 64"},
		{!(p.rate >= 0 && p.rate <= 1e6), "--rate must be 0 to 1000000 requests a second"},
		{p.duration < 0 || p.duration > 24*time.Hour, "--duration must be 0 to 24h"},
		{p.connections < 0 || p.connections > 10_000, "--connections must be 0 to 10000"},
	} {
		if rule.bad {
			return errors.New(rule.problem)
		}
	}
	return nil
}

func (p *benchPlan) onStack() bool { return p.target.URL == "" }

// env is what a scenario needs to know of the flags.
func (p *benchPlan) env() *scenario.Env {
	return &scenario.Env{Rate: p.rate, Duration: p.duration, Connections: p.connections, Quick: p.quick}
}

// repeatsFlag adds --repeats.
func repeatsFlag(command *cobra.Command, repeats *int, standard int) {
	command.Flags().IntVar(repeats, "repeats", standard, "play each scenario so many times; \"bench compare\" tells change from noise by repeats")
}

func checkRepeats(repeats int) error {
	if repeats < 1 || repeats > 100 {
		return errors.New("--repeats must be 1 to 100, not " + strconv.Itoa(repeats))
	}
	return nil
}
