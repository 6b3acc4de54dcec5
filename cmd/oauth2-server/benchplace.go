//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"reflect"
	"time"

	"oauth2-server/bench/floor"
	"oauth2-server/bench/result"
	"oauth2-server/bench/scenario"
	"oauth2-server/bench/slo"
	"oauth2-server/bench/stack"
	"oauth2-server/bench/target"
)

// A place is where scenarios are played: one stack at a time, or somebody else's server.
type place struct {
	plan   *benchPlan
	log    func(format string, args ...any)
	stack  *stack.Stack   // the one that runs; nil with --url
	wanted stack.Options  // those it was started with
	to     *target.Target // what is measured
	facts  result.Server
	floor  *result.Floor
}

// close ends the stack.
func (p *place) close() {
	if p.stack != nil {
		p.stack.Close()
		p.stack = nil
	}
}

// env is the place for a scenario. A stack serves one scenario after another as long as they want it the same and it is whole.
func (p *place) env(ctx context.Context, s *scenario.Scenario) (*scenario.Env, error) {
	e := p.plan.env()
	if !p.plan.onStack() {
		if err := p.discover(ctx); err != nil {
			return nil, err
		}
		client := p.to.Client
		e.Target, e.Opaque, e.JWT, e.Gateway = p.to, client, client, client
		return e, nil
	}
	if err := p.ensure(ctx, s); err != nil {
		return nil, err
	}
	e.Stack, e.Target = p.stack, p.to
	e.Opaque, e.JWT, e.Gateway = p.stack.Opaque, p.stack.JWT, p.stack.Gateway
	return e, nil
}

// discover looks at somebody else's server, once.
func (p *place) discover(ctx context.Context) (err error) {
	if p.to != nil {
		return nil
	}
	if p.to, err = target.Discover(ctx, p.plan.target); err != nil {
		return err
	}
	p.facts = result.Server{URL: p.plan.target.URL, Replicas: len(p.to.URLs)}
	return p.measureFloor(ctx)
}

// options is the stack that the scenario wants.
func (p *place) options(s *scenario.Scenario) stack.Options {
	o := s.StackOptions
	o.Binary = p.plan.binary
	o.Replicas = max(o.Replicas, p.plan.replicas)
	return o
}

// readyPatience is how long a stack may take to be whole again after a scenario that broke it.
const readyPatience = 2 * time.Second

// ensure makes the running stack the one that the scenario wants.
func (p *place) ensure(ctx context.Context, s *scenario.Scenario) (err error) {
	options := p.options(s)
	if p.stack != nil {
		trial, cancel := context.WithTimeout(ctx, readyPatience)
		defer cancel()
		if reflect.DeepEqual(p.wanted, options) && p.stack.Ready(trial) == nil {
			return nil
		}
		p.close()
	}
	p.log("starting Postgres, Redis and %d replicas", options.Replicas)
	if p.stack, err = stack.Start(ctx, options); err != nil {
		p.stack = nil
		return err
	}
	p.wanted = options
	p.to = p.stack.Target()
	if p.facts, err = p.stack.Facts(ctx); err != nil {
		return fmt.Errorf("look at the stack: %w", err)
	}
	return p.measureFloor(ctx)
}

// How long each half of the floor is measured.
const (
	floorTime      = 2 * time.Second
	floorTimeQuick = 300 * time.Millisecond
)

// measureFloor measures /health and an empty handler, with as many connections as the scenarios use by default.
func (p *place) measureFloor(ctx context.Context) error {
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if p.plan.binary != "" {
		binary = p.plan.binary
	}
	o := floor.Options{Line: []string{binary, "bench-floor"}, Connections: 64, Duration: floorTime}
	if p.plan.quick {
		o.Duration = floorTimeQuick
	}
	p.log("measuring the floor")
	p.floor, err = floor.Measure(ctx, p.to, o)
	return err
}

// play plays a scenario once and judges it.
func (p *place) play(ctx context.Context, s *scenario.Scenario, show *progress) (*result.Run, error) {
	e, err := p.env(ctx, s)
	if err != nil {
		return nil, err
	}
	text := cmp.Or(p.plan.slo, s.DefaultSLO(e))
	rules, err := slo.Parse(text)
	if err != nil {
		return nil, err
	}
	e.Log, e.Progress = show.log, show.tick
	run, err := s.Run(ctx, e)
	if err != nil {
		return nil, err
	}
	p.complete(run)
	run.SLO, run.Missed = text, rules.Check(run)
	return run, nil
}

// findLimit finds the highest rate at which the scenario keeps its SLO.
func (p *place) findLimit(ctx context.Context, s *scenario.Scenario, show *progress) (*result.Run, error) {
	e, err := p.env(ctx, s)
	if err != nil {
		return nil, err
	}
	rules, err := slo.Parse(cmp.Or(p.plan.slo, s.BareSLO))
	if err != nil {
		return nil, err
	}
	e.Log, e.Progress = show.log, show.tick
	run, err := scenario.FindLimit(ctx, e, s, rules)
	if err != nil {
		return nil, err
	}
	p.complete(run)
	if run.Facts["limit_per_second"] == 0 {
		run.Missed = []string{rules.String() + ": held at no rate"}
	}
	return run, nil
}

// complete fills what a scenario itself cannot know.
func (p *place) complete(run *result.Run) {
	run.Flags, run.Machine, run.Server, run.Floor = p.plan.given, result.ThisMachine(), p.facts, p.floor
	run.Settle()
}
