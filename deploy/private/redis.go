package private

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
)

// Redis is a private Redis server on a free port of 127.0.0.1. It keeps
// nothing on disk unless it is told to, so a killed one comes back empty.
type Redis struct {
	server
	addr string
}

// StartRedis starts a Redis server; args are added to its command line, like
// "--maxmemory", "10mb", and win over ours.
func StartRedis(args ...string) (*Redis, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("redis-server is missing: install it, on Debian with: apt-get install redis-server")
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := newFolder("", "redis")
	if err != nil {
		return nil, err
	}
	r := &Redis{addr: fmt.Sprintf("127.0.0.1:%d", port)}
	r.server = server{name: "redis", dir: dir, answers: r.answers}
	r.command = append([]string{
		path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no", "--dir", dir,
	}, args...)
	if err := r.launch(); err != nil {
		return nil, err
	}
	return r, nil
}

// StartRedisCluster starts a Redis Cluster of one node, without slots; it wants Redis 7. The port of its bus is one of
// ours: by default it would be 10000 above the node's, where the kernel hands out ports.
func StartRedisCluster() (*Redis, error) {
	bus, err := freePort()
	if err != nil {
		return nil, err
	}
	return StartRedis("--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", "--cluster-port", strconv.Itoa(bus))
}

// Addr is the server's host:port.
func (r *Redis) Addr() string { return r.addr }

// URL is the server's first database.
func (r *Redis) URL() string { return "redis://" + r.addr + "/0" }

// Version is the server's version.
func (r *Redis) Version(ctx context.Context) (string, error) {
	lines, done, err := r.info(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	for lines.Scan() {
		if version, ok := strings.CutPrefix(lines.Text(), "redis_version:"); ok {
			return version, nil
		}
	}
	return "", fmt.Errorf("answer to INFO names no version: %w", lines.Err())
}

// answers reports whether the server is up and has loaded its data. It asks for
// the process id too: the port could be another server's.
func (r *Redis) answers(ctx context.Context) error {
	lines, done, err := r.info(ctx)
	if err != nil {
		return err
	}
	defer done()
	for lines.Scan() {
		if pid, ok := strings.CutPrefix(lines.Text(), "process_id:"); ok && pid == strconv.Itoa(r.pid) {
			return nil
		} else if ok {
			return fmt.Errorf("%s belongs to process %s", r.addr, pid)
		}
	}
	return fmt.Errorf("answer to INFO names no process: %w", lines.Err())
}

// info asks a server that is up what it is. done closes the connection.
func (r *Redis) info(ctx context.Context) (lines *bufio.Scanner, done func(), err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.addr)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, nil, err
	}
	if _, err := conn.Write([]byte("PING\r\nINFO server\r\n")); err != nil {
		return nil, nil, err
	}
	lines = bufio.NewScanner(conn)
	if lines.Scan(); lines.Text() != "+PONG" {
		return nil, nil, fmt.Errorf("answer to PING is %q", lines.Text())
	}
	return lines, func() { conn.Close() }, nil
}
