package postgres

import (
	"net"
	"testing"
)

// pair is both ends of a TCP connection.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if client, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

func TestIdleConnectionIsNotTakenForHungUp(t *testing.T) {
	client, _ := pair(t)
	if hungUp(client) {
		t.Fatal("an idle connection looks hung up")
	}
}

// pgx leaves a goroutine in Read on an idle connection after a slow write: looking must not wait for it.
func TestLookingWaitsForNoReader(t *testing.T) {
	client, server := pair(t)
	read := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		var b [1]byte
		if _, err := client.Read(b[:]); err != nil { // the server's first word: the reader holds the lock from here on
			t.Error(err)
		}
		close(begun)
		_, err := client.Read(b[:])
		read <- err
	}()
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	<-begun
	for range 1000 { // the reader is in its second Read for most of these
		if hungUp(client) {
			t.Fatal("a connection that somebody reads looks hung up")
		}
	}
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
}

func TestClosedByTheServerIsHungUp(t *testing.T) {
	client, server := pair(t)
	server.Close()
	for !hungUp(client) { // the kernel tells us a moment later
	}
}
