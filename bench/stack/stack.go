package stack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"oauth2-server/bench/target"
	"oauth2-server/deploy/private"
)

// Options say what to start.
type Options struct {
	Binary   string   // the server's; default: this very program
	Replicas int      // default 1
	Env      []string // variables of the replicas, "NAME=value", which win over ours
	Proxy    bool     // put a proxy before Postgres, to slow it down
	Settings []string // of Postgres, like "shared_buffers=256MB"; by default it is durable
	NoRedis  bool
}

// A Stack is what runs. Its methods may be called at the same time.
type Stack struct {
	Opaque  target.Client // "bench", whose tokens are opaque
	JWT     target.Client // "bench-jwt", whose tokens are JWTs
	Gateway target.Client // "bench-gateway", which may introspect all
	App     target.App    // "bench-app", which people use without being asked for consent
	Person  target.Person // who may sign in

	operator target.Client // who may use the listeners for operators
	options  Options
	postgres *private.Postgres
	redis    *private.Redis
	proxy    *private.Proxy
	env      []string // of every process of the server's binary
	replicas []*Replica
}

// Start starts everything, in a few seconds: Postgres, Redis, the schema, the clients, and the replicas, which are ready
// when it returns. After an error nothing is left running.
func Start(ctx context.Context, o Options) (s *Stack, err error) {
	s = &Stack{options: o}
	defer func() {
		if err != nil {
			s.Close()
			err = fmt.Errorf("start stack: %w", err)
		}
	}()
	s.options.Replicas = max(1, o.Replicas)
	if o.Binary == "" {
		if s.options.Binary, err = os.Executable(); err != nil {
			return s, fmt.Errorf("find this program: %w", err)
		}
	}
	for _, step := range []func(context.Context) error{s.startPostgres, s.startRedis, s.prepare, s.startReplicas} {
		if err := errors.Join(ctx.Err(), step(ctx)); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Close ends everything that Start started, in whatever state it is, and removes its folders.
func (s *Stack) Close() {
	for _, r := range s.replicas {
		r.program.Close()
	}
	if s.proxy != nil {
		s.proxy.Close()
	}
	if s.redis != nil {
		s.redis.Close()
	}
	if s.postgres != nil {
		s.postgres.Close()
	}
}

// Target is how to speak to the replicas, as client [Stack.Opaque].
func (s *Stack) Target() *target.Target {
	t := &target.Target{Paths: target.DefaultPaths, Client: s.Opaque}
	for _, r := range s.replicas {
		t.URLs = append(t.URLs, &url.URL{Scheme: "http", Host: r.addr})
	}
	return t
}

// Ready is nil when every part runs and every replica is ready, so that another scenario can be played.
func (s *Stack) Ready(ctx context.Context) error {
	for i, r := range s.replicas {
		if err := r.Ready(ctx); err != nil {
			return fmt.Errorf("replica %d: %w", i, err)
		}
	}
	if _, err := s.postgres.Show(ctx, "server_version"); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	if s.redis == nil {
		return nil
	}
	if _, err := s.redis.Version(ctx); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// Options are those that the stack was started with.
func (s *Stack) Options() Options { return s.options }

// Postgres is the database server.
func (s *Stack) Postgres() *private.Postgres { return s.postgres }

// Redis is the Redis server, nil with NoRedis.
func (s *Stack) Redis() *private.Redis { return s.redis }

// Proxy stands before Postgres, nil without the option.
func (s *Stack) Proxy() *private.Proxy { return s.proxy }

// Replicas are all, in order.
func (s *Stack) Replicas() []*Replica { return s.replicas }

// Replica is one of them.
func (s *Stack) Replica(i int) *Replica { return s.replicas[i] }

func (s *Stack) startPostgres(context.Context) (err error) {
	if s.postgres, err = private.StartPostgres("", s.options.Settings...); err != nil {
		return err
	}
	database, err := s.postgres.NewDatabase()
	if err != nil {
		return err
	}
	if s.options.Proxy {
		if database, err = s.behindProxy(database); err != nil {
			return err
		}
	}
	s.env = append(s.env, "OAUTH2_DATABASE_URL="+database)
	return nil
}

// behindProxy starts the proxy and is the database's URL through it.
func (s *Stack) behindProxy(database string) (string, error) {
	u, err := url.Parse(database)
	if err != nil {
		return "", fmt.Errorf("read Postgres' URL: %w", err)
	}
	if s.proxy, err = private.StartProxy(u.Host); err != nil {
		return "", err
	}
	return strings.Replace(database, u.Host, s.proxy.Addr(), 1), nil
}

func (s *Stack) startRedis(context.Context) (err error) {
	if s.options.NoRedis {
		return nil
	}
	if s.redis, err = private.StartRedis(); err != nil {
		return err
	}
	s.env = append(s.env, "OAUTH2_REDIS_URL="+s.redis.URL())
	return nil
}
