package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/hotpath/keys"
	"oauth2-server/hotpath/token"
	"oauth2-server/store"
)

// A seeder is a database that takes very many rows at once.
type seeder interface {
	Seed(ctx context.Context, from, to time.Time, next func() (store.Token, bool)) error
	Partitions(ctx context.Context) ([]string, error)
}

// A seeding is what seed-tokens was asked for.
type seeding struct {
	client     string
	count      int
	expiresIn  time.Duration
	spread     time.Duration
	silent     bool
	partitions bool
}

// newSeedTokensCommand is hidden: it is for the bench suite, which fills a database with tokens by the million.
func newSeedTokensCommand(environ []string) *cobra.Command {
	s := new(seeding)
	command := &cobra.Command{
		Use: "seed-tokens", Hidden: true, Args: cobra.NoArgs,
		Short: "Write many opaque access tokens of a client into Postgres, and print their texts, one a line",
		RunE: withStore(environ, func(ctx context.Context, j *job, _ []string) error {
			db, ok := j.db.(seeder)
			switch {
			case !ok:
				return errors.New("seed-tokens needs Postgres")
			case s.partitions:
				return s.list(ctx, j, db)
			case s.client == "" || s.count < 1 || s.spread < 0:
				return errors.New("give --client, a --count of 1 or more, and no negative --spread")
			}
			return s.run(ctx, j, db)
		}),
	}
	command.Flags().StringVar(&s.client, "client", "", "the client they are issued to, which must be there")
	command.Flags().IntVar(&s.count, "count", 0, "how many")
	command.Flags().DurationVar(&s.expiresIn, "expires-in", time.Hour, "when the first expires; negative: it has, that long ago")
	command.Flags().DurationVar(&s.spread, "spread", 0, "the last expires so much later than the first")
	command.Flags().BoolVar(&s.silent, "silent", false, "print no texts")
	command.Flags().BoolVar(&s.partitions, "partitions", false, "write nothing, print the names of the partitions")
	return command
}

func (s *seeding) list(ctx context.Context, j *job, db seeder) error {
	names, err := db.Partitions(ctx)
	if err != nil {
		return fmt.Errorf("list partitions: %w", err)
	}
	_, err = fmt.Fprintln(j.w, strings.Join(names, "\n"))
	return err
}

// run writes the rows in one COPY, as if each had been issued now, and then prints the texts.
func (s *seeding) run(ctx context.Context, j *job, db seeder) error {
	mac, err := j.activeMAC(ctx)
	if err != nil {
		return err
	}
	beat, err := j.db.Load(ctx, func(*store.Change) error { return nil })
	if err != nil {
		return fmt.Errorf("read the feed's position: %w", err)
	}
	now := time.Now()
	first := now.Add(s.expiresIn)
	record := &store.Record{
		Issued: min(now.Unix(), first.Unix()), Position: beat.Cursor.Seq,
		Client: []byte(s.client), Subject: []byte(s.client), Scope: []byte("read"), Audience: []byte("bench"),
	}
	var text []byte
	written := 0
	err = db.Seed(ctx, first, first.Add(s.spread), func() (store.Token, bool) {
		if written == s.count {
			return store.Token{}, false
		}
		record.ID = store.NewID(now)
		record.Expires = first.Add(s.spread / time.Duration(s.count) * time.Duration(written)).Unix()
		written++
		if !s.silent {
			text = token.AppendOpaque(text, mac, token.Access, record.ID, record.Expires)
			text = append(text, '\n')
		}
		return store.Token{TokenKey: store.TokenKey{ID: record.ID, Expires: record.Expires}, Record: record.Append(nil)}, true
	})
	if err != nil {
		return fmt.Errorf("seed tokens: %w", err)
	}
	_, err = j.w.Write(text) // they exist now
	return err
}

// activeMAC is the key that the server makes opaque tokens with.
func (j *job) activeMAC(ctx context.Context) (*keys.MAC, error) {
	if err := j.needSecrets(); err != nil {
		return nil, err
	}
	all, err := keys.Ensure(ctx, j.db, j.actor, j.config.secrets, keys.Alg(j.config.JWTAlg), time.Now())
	if err != nil {
		return nil, fmt.Errorf("read the key ring: %w", err)
	}
	ring := keys.NewRing(j.config.secrets, keys.Alg(j.config.JWTAlg))
	if err := ring.Replace(all); err != nil {
		return nil, fmt.Errorf("open the key ring: %w", err)
	}
	return ring.ActiveMAC(), nil
}
