package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/hotpath/keys"
)

func newTokenCommand(environ []string) *cobra.Command {
	return newGroup("token", "Find out about tokens", &cobra.Command{
		Use:   "explain TOKEN",
		Short: "Say why a token is active or not",
		Long: "Say why a token is active or not: \"users are getting invalid_token\". TOKEN is its text, or - to read that from\n" +
			"standard input, where no list of processes and no history shows it. The text is not printed.\n" +
			"The exit status is 0 when the token is active, 3 when it is not, and 1 when that cannot be told.",
		Args: oneToken,
		RunE: withStore(environ, explainToken),
	})
}

// oneToken does not repeat what it refuses.
func oneToken(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return errors.New("give the text of one token, or - to read it from standard input")
	}
	return nil
}

func explainToken(ctx context.Context, j *job, args []string) error {
	text, err := readInput(args[0], j.in)
	if err != nil {
		return err
	}
	e, done, err := j.explainer(ctx)
	if err != nil {
		return err
	}
	defer done()
	told, err := e.explain([]byte(text))
	if err != nil {
		return fmt.Errorf("it cannot be told whether the token is active: %w", err)
	}
	if err := j.show(told, told.text); err != nil {
		return err
	}
	if !told.Active {
		return errInactive
	}
	return nil
}

// explainer knows what the server would know: its keys, Redis and issuer. done closes what it uses.
func (j *job) explainer(ctx context.Context) (e *explainer, done func(), err error) {
	if err := j.needSecrets(); err != nil {
		return nil, nil, err
	}
	e = &explainer{ctx: ctx, db: j.db, now: time.Now()}
	if e.stored, err = j.db.Keys(ctx); err != nil {
		return nil, nil, fmt.Errorf("read the key ring: %w", err)
	}
	alg, err := keys.ParseAlg(j.config.JWTAlg)
	if err != nil {
		return nil, nil, err
	}
	e.ring = keys.NewRing(j.config.secrets, alg)
	_ = e.ring.Replace(e.stored) // a key that does not open matters if the token is of that key: see unknownKey
	if address, err := net.ResolveTCPAddr("tcp", j.config.address()); err == nil {
		e.issuer = j.config.issuer(address)
	}
	if e.redis, err = openRedis(j.config); err != nil {
		return nil, nil, err
	}
	return e, func() {
		if e.redis != nil {
			e.redis.Close()
		}
	}, nil
}

// text is the explanation for people: the cause, then what led to it.
func (t *explanation) text() string {
	rows := [][]string{{"kind", t.Kind}}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, value})
		}
	}
	add("id", t.ID)
	add("client", withState(t.Client, t.ClientState))
	add("subject", t.Subject)
	add("scope", t.Scope)
	add("audience", t.Audience)
	add("issued", at(t.Issued))
	add("expires", at(t.Expires))
	add("expired", yesNo(t.Expired))
	add("key", t.Key)
	add("key known", yesNo(t.KeyKnown))
	add("authentic", yesNo(t.Authentic))
	add("issuer", t.Issuer)
	add("issuer expected", t.Expected)
	add("record in Redis", yesNo(t.InRedis))
	add("Redis", t.RedisFault)
	add("record in store", yesNo(t.InStore))
	add("denied", t.Denied.text())
	add("cut off", t.CutOff.text())
	return t.Cause + "\n\n" + table(rows)
}

func withState(client, state string) string {
	if state == "" {
		return client
	}
	return client + " (" + state + ")"
}

func at(t *time.Time) string {
	if t == nil {
		return ""
	}
	return moment(*t)
}

func yesNo(known *bool) string {
	switch {
	case known == nil:
		return ""
	case *known:
		return "yes"
	}
	return "no"
}

func (e *ending) text() string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf("%s by %s", moment(e.At), e.By)
}
