package scenario

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"oauth2-server/bench/load"
	"oauth2-server/bench/result"
	"oauth2-server/bench/stack"
	"oauth2-server/bench/target"
)

func login() *Scenario {
	return &Scenario{
		Name: "login", Title: "a flood of passwords, 5 times what can be checked, beside introspection",
		Question: "Admin or login failures, a password flood: do those who bring tokens feel it, is it refused honestly, and who can sign in afterwards?",
		SLO: "wrong_answers<=0,introspect_available_share>=0.999,recovered_share>=0.99," +
			"checked_passwords>=1,refused_passwords>=1",
		StackOnly:    true,
		StackOptions: stack.Options{Replicas: 1},
		play:         playLogin,
	}
}

// loginRules are the limits that would keep a flood from the passwords themselves: it is what is behind them that is measured.
var loginRules = []string{"login.ip", "login.username"}

const (
	floodTimes       = 5   // how many times what can be checked is tried
	floodConnections = 256 // a password that waits for its turn keeps its connection
)

func playLogin(ctx context.Context, s *stage) (err error) {
	s.Target = s.at(s.Target.URLs[:1]) // each replica takes half of the cores for passwords; here all share them
	back, err := s.switchOff(ctx, loginRules)
	defer func() { err = errors.Join(err, back()) }()
	if err != nil {
		return err
	}
	tokens, err := s.Target.NewTokens(ctx, 0, s.Opaque, 1000)
	if err != nil {
		return err
	}
	if err := s.warm(ctx, tokens); err != nil {
		return err
	}
	return s.flood(ctx, rotate(s.questions(tokens, 1)), rotate(s.attempts()))
}

// flood plays introspection alone, sign-ins alone, and both: during the flood, and after it.
func (s *stage) flood(ctx context.Context, introspect, signIn func(worker int) load.Source) error {
	rate := s.rate(faultRate)
	before, err := s.probe(ctx, "before", s.open(rate, s.span, introspect))
	if err != nil {
		return err
	}
	// Passwords are the processor's work: as many as there are cores keep all busy that the server takes for them.
	alone, err := s.probe(ctx, "sign-ins alone", through(runtime.GOMAXPROCS(0), s.closed(2*s.span, signIn)))
	if err != nil {
		return err
	}
	capacity := alone.Throughput
	if capacity == 0 {
		return fmt.Errorf("not one password was checked: %v", alone.Total.Errors)
	}
	both := func(signIns float64, d time.Duration) load.Plan {
		return through(floodConnections, s.open(rate+signIns, d, blend(introspect, signIn, signIns/(rate+signIns))))
	}
	during, err := s.probe(ctx, result.Main, both(floodTimes*capacity, 3*s.span))
	if err != nil {
		return err
	}
	s.fact("sign_in_capacity_per_second", capacity)
	s.tellFlood(before, during, capacity)
	return s.recovery(ctx, "", both(capacity/2, 4*s.span), func() error { return nil })
}

// tellFlood tells what came of both kinds of requests.
func (s *stage) tellFlood(before, during *load.Outcome, capacity float64) {
	s.fact("introspect_available_share", available(during, kindIntrospect))
	if asked := during.Kinds[kindIntrospect]; asked != nil {
		s.fact("introspect_p99_ratio", ratio(asked.Latency.Quantile(0.99), before.Total.Latency.Quantile(0.99)))
	}
	tried := during.Kinds[kindSignIn]
	if tried == nil {
		return
	}
	checked := float64(tried.Requests - tried.Failed())
	s.fact("checked_passwords", checked)
	s.fact("refused_passwords", float64(tried.Failed()))
	s.fact("sign_in_goodput_ratio", ratio(checked/during.Elapsed.Seconds(), capacity))
	s.fact("refusal_p99_seconds", tried.FailLatency.Quantile(0.99).Seconds())
}

// blend takes a share of all requests, evenly, from the second of two sources.
func blend(one, other func(worker int) load.Source, share float64) func(worker int) load.Source {
	n := new(atomic.Int64)
	return func(worker int) load.Source {
		one, other := one(worker), other(worker)
		return func() *load.Shot {
			if i := float64(n.Add(1)); math.Floor(i*share) > math.Floor((i-1)*share) {
				return other()
			}
			return one()
		}
	}
}

// attempts are to sign in: rightly, with a wrong password, and as nobody there is.
func (s *stage) attempts() []*load.Shot {
	right := s.Stack.Person
	return []*load.Shot{
		s.signIn(right, http.StatusSeeOther),
		s.signIn(target.Person{Name: right.Name, Password: "guessed, and wrong"}, http.StatusUnauthorized),
		s.signIn(target.Person{Name: "nobody", Password: right.Password}, http.StatusUnauthorized),
	}
}

// signIn tries a password; whoever checks it must answer with the status.
func (s *stage) signIn(p target.Person, want int) *load.Shot {
	shot := s.Target.SignIn(0, p)
	shot.Kind = kindSignIn
	shot.Judge = func(status int, _ []byte) error {
		if status == want {
			return nil
		}
		return refused(status)
	}
	return shot
}

// switchOff switches limits off, and is what makes them again what they were: to be called after an error, too.
func (s *stage) switchOff(ctx context.Context, names []string) (back func() error, err error) {
	type mode struct {
		Mode string `json:"mode"`
	}
	path, before := "/admin/api/limits/", map[string]mode{}
	back = func() (err error) {
		for name, was := range before {
			err = errors.Join(err, s.Stack.Operate(context.WithoutCancel(ctx), 0, http.MethodPatch, path+name, was, nil))
		}
		return err
	}
	for _, name := range names {
		var was mode
		err := s.Stack.Operate(ctx, 0, http.MethodGet, path+name, nil, &was)
		if err == nil {
			before[name] = was
			err = s.Stack.Operate(ctx, 0, http.MethodPatch, path+name, mode{"off"}, nil)
		}
		if err != nil {
			return back, fmt.Errorf("switch limit %s off: %w", name, err)
		}
	}
	return back, sleep(ctx, inForce)
}
