package cache

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// redisPatience bounds a trip to Redis: a hung Redis must cost less than asking Postgres.
const redisPatience = 50 * time.Millisecond

// OpenRedis makes a client for one server (redis:// or rediss://), a Cluster
// (redis+cluster://host:port?addr=host:port) or Sentinels
// (redis+sentinel://host:port/db?master_name=name&addr=host:port; with TLS rediss+…). It does not connect.
// Each connection asks login, which may be nil, for the URL whose user and password it takes: they may change meanwhile.
//
// The options are not a matter of taste: with go-redis' defaults a command in flight on a
// hung server ignores its context's deadline and takes ten seconds.
func OpenRedis(url string, login func() (url string)) (redis.UniversalClient, error) {
	options, err := parseRedisURL(url)
	if err != nil {
		return nil, fmt.Errorf("redis url: %w", err)
	}
	if login != nil {
		options.CredentialsProvider = func() (user, password string) {
			now, err := parseRedisURL(login())
			if err != nil {
				return "", ""
			}
			return now.Username, now.Password
		}
	}
	options.ContextTimeoutEnabled = true
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.DialTimeout = 4 * redisPatience
	options.ReadTimeout = redisPatience
	options.WriteTimeout = redisPatience
	options.PoolTimeout = redisPatience / 2
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	redis.SetLogger(silence{})
	return redis.NewUniversalClient(options), nil
}

// silence drops what go-redis would print to stderr: plain lines amid our JSON, as many as an outage makes
// of them. An outage of Redis is told by our metrics and by /ready.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// errRedisURL does not wrap the parser's error, which can quote a part of the password.
var errRedisURL = errors.New("it is not like redis://user:password@host:port/0, or an option behind ? is unknown")

// CheckRedisURL says what is wrong with a URL for OpenRedis.
func CheckRedisURL(url string) error {
	_, err := parseRedisURL(url)
	return err
}

// errOtherRedis refuses what an open client cannot follow.
var errOtherRedis = errors.New("more than the user and the password differ, which needs a restart")

// TryRedisURL sees whether the client of one URL, opened with a login, can go on with the user and the password of another. A Redis
// that cannot be reached refuses nothing: there may be none at any moment.
func TryRedisURL(ctx context.Context, now, fresh string) error {
	before, errBefore := parseRedisURL(now)
	after, errAfter := parseRedisURL(fresh)
	if err := errors.Join(errBefore, errAfter); err != nil {
		return err
	}
	for _, o := range []*redis.UniversalOptions{before, after} {
		o.Username, o.Password, o.TLSConfig = "", "", nil
	}
	scheme := func(url string) string { return strings.SplitN(url, ":", 2)[0] }
	if !reflect.DeepEqual(before, after) || scheme(now) != scheme(fresh) {
		return errOtherRedis
	}
	probe, err := OpenRedis(fresh, nil)
	if err != nil {
		return err
	}
	defer probe.Close()
	if err := probe.Ping(ctx).Err(); redis.IsAuthError(err) || redis.IsPermissionError(err) {
		return errors.New("redis refuses the user or the password")
	}
	return nil
}

// parseRedisURL reads what names and opens the servers; errors hold no password.
func parseRedisURL(url string) (*redis.UniversalOptions, error) {
	scheme, rest, _ := strings.Cut(url, "://")
	transport, kind, _ := strings.Cut(scheme, "+")
	plain := transport + "://" + rest
	if transport != "redis" && transport != "rediss" {
		return nil, fmt.Errorf("the scheme is none of redis, rediss, redis+cluster, redis+sentinel")
	}
	switch kind {
	case "":
		o, err := redis.ParseURL(plain)
		if err != nil {
			return nil, errRedisURL
		}
		return &redis.UniversalOptions{
			Addrs: []string{o.Addr}, DB: o.DB,
			Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
		}, nil
	case "cluster":
		o, err := redis.ParseClusterURL(plain)
		if err != nil {
			return nil, errRedisURL
		}
		return &redis.UniversalOptions{
			Addrs: o.Addrs, IsClusterMode: true,
			Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
		}, nil
	case "sentinel":
		o, err := redis.ParseFailoverURL(plain)
		if err != nil {
			return nil, errRedisURL
		}
		if o.MasterName == "" {
			return nil, fmt.Errorf("redis+sentinel needs ?master_name=")
		}
		return &redis.UniversalOptions{
			Addrs: o.SentinelAddrs, MasterName: o.MasterName, DB: o.DB,
			SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
			Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
		}, nil
	}
	return nil, fmt.Errorf("redis+%.20s is none of redis+cluster, redis+sentinel", kind)
}
