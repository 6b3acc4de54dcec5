package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"oauth2-server/store"
	"oauth2-server/store/migrations"
)

// Reach tries the way to each host of a database URL, all at once, each for two seconds at most, and says at which step it ends. It
// says nothing of a URL that cannot be read: the configuration refuses that.
func Reach(ctx context.Context, url string) []store.Reach {
	config, err := connConfig(Options{URL: url, Timeout: inspectPatience})
	if err != nil {
		return nil
	}
	hosts := splitHosts(config)
	all := make([]store.Reach, len(hosts))
	var group sync.WaitGroup
	for i, host := range hosts {
		group.Go(func() { all[i] = reach(ctx, host) })
	}
	group.Wait()
	return all
}

// splitHosts makes one configuration for each host. With sslmode=prefer a host has two ways, with TLS and without, which stay together.
func splitHosts(config *pgx.ConnConfig) []*pgx.ConnConfig {
	ways := append([]*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}}, config.Fallbacks...)
	var hosts []*pgx.ConnConfig
	for _, way := range ways {
		last := len(hosts) - 1
		if last >= 0 && hosts[last].Host == way.Host && hosts[last].Port == way.Port {
			hosts[last].Fallbacks = append(hosts[last].Fallbacks, way)
			continue
		}
		one := config.Copy()
		one.Host, one.Port, one.TLSConfig, one.Fallbacks = way.Host, way.Port, way.TLSConfig, nil
		hosts = append(hosts, one)
	}
	return hosts
}

// reach walks the way to one host.
func reach(ctx context.Context, config *pgx.ConnConfig) store.Reach {
	ctx, cancel := context.WithTimeout(ctx, inspectPatience)
	defer cancel()
	r := store.Reach{Host: config.Host}
	if !strings.HasPrefix(config.Host, "/") {
		r.Host = net.JoinHostPort(config.Host, fmt.Sprint(config.Port))
	}
	if err := walk(ctx, config); err != nil {
		r.Step, r.Text = failedStep(err), reason(err)
	}
	return r
}

func walk(ctx context.Context, config *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(ctx, config) // refuses a standby
	if err != nil {
		return err
	}
	defer hangUp(conn)
	_, err = conn.Exec(ctx, "select from "+migrations.Table+" limit 1")
	return err
}

// reason is an error for people: the last of pgx's attempts at the host, without the user and the database it names before. No text
// of pgx holds the password.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %v", inspectPatience)
	}
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fmt.Sprintf("%s (SQLSTATE %s)", refusal.Message, refusal.Code)
	}
	if inner, ok := errors.AsType[*net.OpError](err); ok {
		return inner.Error()
	}
	if inner, ok := errors.AsType[*net.DNSError](err); ok {
		return inner.Error()
	}
	text := err.Error()
	return text[strings.LastIndex(text, "\n")+1:]
}
