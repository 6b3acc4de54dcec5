package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/cache"
	"oauth2-server/hotpath/explain"
	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
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
	told, err := j.explain(ctx, text)
	if err != nil {
		return err
	}
	if err := j.show(told, func() string { return explanationText(told) }); err != nil {
		return err
	}
	if !told.Active {
		return errInactive
	}
	return nil
}

// explain looks at the token as the servers do: with their keys, Redis and issuer.
func (j *job) explain(ctx context.Context, text string) (*explain.Explanation, error) {
	if err := j.needSecrets(); err != nil {
		return nil, err
	}
	stored, err := j.db.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the key ring: %w", err)
	}
	alg, err := keys.ParseAlg(j.config.JWTAlg)
	if err != nil {
		return nil, err
	}
	ring := keys.NewRing(j.config.secrets, alg)
	_ = ring.Replace(stored) // a key that does not open matters if the token is of that key, which explain says
	options := explain.Options{Store: j.db, Ring: ring, Now: time.Now()}
	if address, err := net.ResolveTCPAddr("tcp", j.config.address()); err == nil {
		options.Issuer = j.config.issuer(address)
	}
	client, err := openRedis(j.config, nil)
	if err != nil {
		return nil, err
	}
	if client != nil {
		defer client.Close()
		options.Peek = func(ctx context.Context, key store.TokenKey) ([]byte, error) {
			return cache.Peek(ctx, client, ring, key)
		}
	}
	told, err := explain.Token(ctx, options, []byte(text))
	if err != nil {
		return nil, fmt.Errorf("it cannot be told whether the token is active: %w", err)
	}
	return told, nil
}

// explanationText is the explanation for people: the cause, then what led to it.
func explanationText(t *explain.Explanation) string {
	rows := [][]string{{"kind", t.Kind}}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, value})
		}
	}
	if !t.ID.IsZero() {
		add("id", t.ID.String())
	}
	if !t.Grant.IsZero() {
		add("grant", t.Grant.String())
	}
	add("generation", generationText(t))
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
	add("denied", endingText(t.Denied))
	add("cut off", endingText(t.CutOff))
	return t.Cause + "\n\n" + table(rows)
}

// generationText is that of a refresh token, beside the newest where it is another.
func generationText(t *explain.Explanation) string {
	switch {
	case t.Generation == 0:
		return ""
	case t.Newest == 0 || t.Generation == t.Newest:
		return strconv.FormatInt(t.Generation, 10)
	}
	return fmt.Sprintf("%d (the newest is %d)", t.Generation, t.Newest)
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

func endingText(e *explain.Ending) string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf("%s by %s", moment(e.At), e.By)
}
