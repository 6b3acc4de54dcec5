package private

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports are taken below those the kernel hands out (32768 and up on Linux):
// while a server is dead, no outgoing connection can sit on its port, nor
// connect to itself by dialling it.
const (
	firstPort = 15000
	lastPort  = 31999
)

// listen opens a listener on a free port of 127.0.0.1.
func listen() (net.Listener, error) {
	var faults []error
	for range 50 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return l, nil
		}
		faults = append(faults, err)
	}
	return nil, fmt.Errorf("find a free port: %w", errors.Join(faults...))
}

// freePort finds a port for a process about to start.
func freePort() (int, error) {
	l, err := listen()
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("release port %d: %w", port, err)
	}
	return port, nil
}
