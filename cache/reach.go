package cache

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"oauth2-server/store"
)

// Reach tries the way to each server that a Redis URL names, all at once, each for two seconds at most, and says at which step it
// ends: name, tcp, tls, authentication, query. Of Sentinels it tries the Sentinels. It says nothing of a URL that cannot be read.
func Reach(ctx context.Context, url string) []store.Reach {
	options, err := parseRedisURL(url)
	if err != nil {
		return nil
	}
	if options.MasterName != "" {
		options.Username, options.Password = options.SentinelUsername, options.SentinelPassword
	}
	all := make([]store.Reach, len(options.Addrs))
	var group sync.WaitGroup
	for i, addr := range options.Addrs {
		group.Go(func() { all[i] = reach(ctx, options, hostPort(addr)) })
	}
	group.Wait()
	return all
}

func reach(ctx context.Context, options *redis.UniversalOptions, addr string) store.Reach {
	ctx, cancel := context.WithTimeout(ctx, inspectPatience)
	defer cancel()
	r := store.Reach{Host: addr}
	step, err := walk(ctx, options, addr)
	if err != nil {
		r.Step, r.Text = step, err.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		r.Text = fmt.Sprintf("no answer within %v", inspectPatience)
	}
	return r
}

func isTimeout(err error) bool {
	fault, ok := errors.AsType[net.Error](err)
	return ok && fault.Timeout()
}

// walk goes step by step, and gives the one at which it failed.
func walk(ctx context.Context, options *redis.UniversalOptions, addr string) (step string, err error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return store.StepName, err
	}
	if _, err := net.DefaultResolver.LookupHost(ctx, host); err != nil {
		return store.StepName, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return store.StepTCP, err
	}
	defer conn.Close()
	if options.TLSConfig != nil {
		secured := tls.Client(conn, options.TLSConfig)
		if err := shakeHands(ctx, secured); err != nil {
			if isTimeout(err) && !speaksPlainly(ctx, addr) {
				return store.StepQuery, err // it hangs
			}
			return store.StepTLS, err
		}
		conn = secured
	}
	return ask(ctx, options, conn)
}

// shakeHands leaves time to find out why there was no answer.
func shakeHands(ctx context.Context, conn *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, inspectPatience*3/4)
	defer cancel()
	return conn.HandshakeContext(ctx)
}

// speaksPlainly reports whether a Redis answers without TLS. It may wait in silence for the end of the line that it takes a handshake for.
func speaksPlainly(ctx context.Context, addr string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	n, _ := conn.Read(make([]byte, 1))
	return n > 0
}

// ask says hello over the connection, and pings.
func ask(ctx context.Context, options *redis.UniversalOptions, conn net.Conn) (step string, err error) {
	client := redis.NewClient(&redis.Options{
		Dialer:   func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		Username: options.Username, Password: options.Password,
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, PoolSize: 1, ReadTimeout: inspectPatience,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	defer client.Close()
	err = client.Ping(ctx).Err()
	if err != nil && refusesUs(err.Error()) {
		return store.StepAuthentication, err
	}
	return store.StepQuery, err
}

// refusesUs knows what Redis answers to a password that is wrong or missing, and to a user who may not.
func refusesUs(answer string) bool {
	for _, words := range []string{"NOAUTH", "WRONGPASS", "NOPERM", "AUTH failed", "invalid password"} {
		if strings.Contains(answer, words) {
			return true
		}
	}
	return false
}
