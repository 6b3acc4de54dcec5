package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// listeners are the two addresses that the server answers at.
type listeners struct{ public, admin net.Listener }

// listen takes both addresses, or none.
func listen(c *Config) (*listeners, error) {
	public, err := listenOn(c.Host, c.Port, "OAUTH2_SERVER_PORT")
	if err != nil {
		return nil, err
	}
	operators, err := listenOn(c.AdminHost, c.AdminPort, "OAUTH2_ADMIN_PORT")
	if err != nil {
		return nil, errors.Join(err, public.Close())
	}
	return &listeners{public, operators}, nil
}

// listenOn takes an address. A host of IPv4 means IPv4 alone. variable is the one that leads to another port.
func listenOn(host string, port int, variable string) (net.Listener, error) {
	network, address := "tcp", net.JoinHostPort(host, strconv.Itoa(port))
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		network = "tcp4"
	}
	listener, err := net.Listen(network, address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken: end what listens there, or set %s", address, variable)
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

// close gives back what the servers have not closed.
func (l *listeners) close() {
	_ = l.public.Close()
	_ = l.admin.Close()
}
