package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"oauth2-server/admin/doctor"
	"oauth2-server/cache"
	"oauth2-server/store"
	"oauth2-server/store/postgres"
)

var (
	// errFindings is the outcome of a look that found something to mend.
	errFindings = errors.New("something is wrong")
	// errUnseen means that nothing could be looked at.
	errUnseen = errors.New("the doctor could not look")
)

func newDoctorCommand(environ []string) *cobra.Command {
	url := ""
	command := &cobra.Command{
		Use:   "doctor [SCENARIO…]",
		Short: "Say what is wrong with the server, why, and what mends it",
		Long: "Look at the database, at Redis, at what the replicas say of themselves and at the public URL, and say what is wrong, why, and\n" +
			"what mends it. It changes nothing, takes five seconds at most, and needs no running server. Run it with the servers' variables.\n" +
			"Each SCENARIO is one of " + strings.Join(doctor.Scenarios, ", ") + "; or it is all (the default), alone.\n" +
			"The exit status is 0 when nothing is wrong, 1 when something is, and 2 when that cannot be told.",
		Args: knownScenarios,
	}
	command.Flags().StringVar(&url, "url", "", "URL of the public listener to look at from here; default: OAUTH2_SERVER_PUBLIC_BASE_URL")
	command.RunE = func(command *cobra.Command, args []string) error {
		config, err := loadStoreConfig(environ)
		if err != nil {
			return configError(err)
		}
		if url != "" && !isBaseURL(url) {
			return fmt.Errorf("%w: --url must be an http or https URL without query, fragment and user", errUnseen)
		}
		facts, err := examine(command.Context(), config, url)
		if err != nil {
			return fmt.Errorf("%w: %w", errUnseen, err)
		}
		if len(args) == 0 {
			args = []string{doctor.All}
		}
		return tell(newOutput(command), facts, args, mayColor(environ))
	}
	return command
}

// knownScenarios takes as many as are asked for; none is all.
func knownScenarios(_ *cobra.Command, args []string) error {
	if !doctor.Known(args) {
		return fmt.Errorf("%w: give one or more of %s, or all alone", errUnseen, strings.Join(doctor.Scenarios, ", "))
	}
	return nil
}

// examine looks with a store and a Redis client of its own.
func examine(ctx context.Context, c *Config, url string) (*doctor.Facts, error) {
	db, err := openDatabase(c, false, nil)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var client redis.UniversalClient
	if c.RedisURL != "" {
		if client, err = cache.OpenRedis(string(c.RedisURL), nil); err != nil {
			return nil, fmt.Errorf("OAUTH2_REDIS_URL: %w", err)
		}
		defer client.Close()
	}
	if c.JWTSecret == "" && !c.postgres() {
		_ = c.readSecretFile() // without it less is said of the keys
	}
	sources := c.doctorSources(db, client)
	if url != "" {
		sources.URL = url
	}
	facts := doctor.Gather(ctx, sources)
	return facts, ctx.Err()
}

// doctorSources is where the doctor looks. client may be nil.
func (c *Config) doctorSources(db database, client redis.UniversalClient) doctor.Sources {
	s := doctor.Sources{
		Store: db, Redis: client, URL: c.PublicBaseURL, Capacity: int64(c.Capacity),
		Configured: doctor.Configured{Issuer: c.PublicBaseURL, Alg: c.JWTAlg, Secrets: c.secrets.Fingerprints()},
		Platform:   ownPlatform(),
	}
	if c.postgres() {
		s.ReachDatabase = func(ctx context.Context) []store.Reach { return postgres.Reach(ctx, string(c.DatabaseURL)) }
	}
	if client != nil {
		s.ReachRedis = func(ctx context.Context) []store.Reach { return cache.Reach(ctx, string(c.RedisURL)) }
	}
	return s
}

// tell prints what is wrong.
func tell(out output, facts *doctor.Facts, scenarios []string, color bool) error {
	report := doctor.Judge(facts, scenarios...)
	view := diagnosis{facts: facts, report: &report, color: color && isTerminal(out.w)}
	if err := out.show(report, view.String); err != nil {
		return err
	}
	if report.Bad() {
		return errFindings
	}
	return nil
}
