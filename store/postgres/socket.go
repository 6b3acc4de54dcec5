package postgres

import (
	"errors"
	"net"
	"syscall"
)

// hungUp looks at an idle connection's socket, without waiting: has the server closed it, or said anything? It says
// nothing unasked but that it is going away. So a connection that did not survive a restart of Postgres is
// replaced before a statement is lost on it. Costs one system call.
func hungUp(conn net.Conn) bool {
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = secured.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return true
	}
	quiet := false
	// Control and not Read: after a slow write pgx leaves a goroutine reading on the idle connection, and Read would
	// wait for its lock, which it gives up when the next answer comes: never.
	err = raw.Control(func(fd uintptr) {
		var peek [1]byte
		_, _, err := syscall.Recvfrom(int(fd), peek[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN)
	})
	return err != nil || !quiet
}
