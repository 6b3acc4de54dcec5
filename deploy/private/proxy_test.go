package private

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// startProxy is a proxy in front of a server that sends back what it gets,
// and ends when the client has.
func startProxy(t *testing.T) *Proxy {
	t.Helper()
	echo, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { echo.Close() })
	go func() {
		for {
			conn, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn) // a broken connection is what some tests make
			}()
		}
	}()
	p, err := StartProxy(echo.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// echoes sends text and waits for it to come back.
func echoes(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	arrives(t, conn, text)
}

func arrives(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v, want %q", got, err, text)
	}
}

// silent reports an error if anything arrives, the end of the connection included.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes, %v, want silence", n, err)
	}
}

func TestProxyForwardsAndEnds(t *testing.T) {
	p := startProxy(t)
	conn := dial(t, p.Addr()).(*net.TCPConn)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // a megabyte
	go func() {
		_, _ = conn.Write(sent) // a short write shows in what comes back
		_ = conn.CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("got %d bytes, %v, want the %d sent", len(got), err, len(sent))
	}
	if got := p.Accepted(); got != 1 {
		t.Errorf("got %d connections, want 1", got)
	}
}

func TestProxyDelaysEachDirection(t *testing.T) {
	const delay = 20 * time.Millisecond
	p := startProxy(t)
	conn := dial(t, p.Addr())
	echoes(t, conn, "before")
	p.SetDelay(delay)
	start := time.Now()
	echoes(t, conn, "delayed")
	if took := time.Since(start); took < 2*delay {
		t.Errorf("there and back took %v, want at least %v", took, 2*delay)
	}
}

func TestDelayedBytesDoNotWaitForEachOther(t *testing.T) {
	p := startProxy(t)
	p.SetDelay(time.Hour)
	sender, src := net.Pipe()
	queue := make(chan parcel)
	link := newLink(t.Context(), p)
	go link.read(queue, src)
	for _, text := range []string{"one", "two", "three"} {
		sent := time.Now()
		if _, err := io.WriteString(sender, text); err != nil {
			t.Fatal(err)
		}
		got := <-queue // though none before was due
		if string(got.bytes) != text || got.due.Before(sent.Add(time.Hour)) {
			t.Errorf("got %q due in %v, want %q in an hour", got.bytes, got.due.Sub(sent), text)
		}
	}
	sender.Close()
	if got := <-queue; !errors.Is(got.err, io.EOF) {
		t.Errorf("got %v, want the end", got.err)
	}
}

func TestBlockedProxyPassesNothing(t *testing.T) {
	p := startProxy(t)
	conn := dial(t, p.Addr())
	echoes(t, conn, "before")
	p.Block()
	p.Block() // a second time does nothing
	fresh := dial(t, p.Addr())
	for _, c := range []net.Conn{conn, fresh} {
		if _, err := io.WriteString(c, "later"); err != nil {
			t.Fatal(err)
		}
		silent(t, c)
	}
	p.Unblock()
	arrives(t, conn, "later")
	arrives(t, fresh, "later")
}

func TestBlockedProxyHidesTheEnd(t *testing.T) {
	p := startProxy(t)
	conn := dial(t, p.Addr()).(*net.TCPConn)
	echoes(t, conn, "before")
	p.Block()
	if err := conn.CloseWrite(); err != nil { // the server would end too
		t.Fatal(err)
	}
	silent(t, conn)
	p.Unblock()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(conn); err != nil || len(rest) != 0 {
		t.Errorf("got %q, %v, want the end", rest, err)
	}
}

func TestCutProxyRefuses(t *testing.T) {
	p := startProxy(t)
	conn := dial(t, p.Addr())
	echoes(t, conn, "before")
	p.Cut()
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes from a cut connection", n)
	}
	if conn, err := net.Dial("tcp", p.Addr()); err == nil {
		conn.Close()
		t.Error("a cut proxy accepts")
	}
	if err := p.Restore(); err != nil {
		t.Fatal(err)
	}
	echoes(t, dial(t, p.Addr()), "after")
}

func TestBlockedProxyCanBeClosed(t *testing.T) {
	p := startProxy(t)
	conn := dial(t, p.Addr())
	echoes(t, conn, "before")
	p.Block()
	if _, err := io.WriteString(conn, "never"); err != nil {
		t.Fatal(err)
	}
	p.Close() // returns only when everything has ended
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes from a closed proxy", n)
	}
}

func TestProxyWithoutTargetEndsConnections(t *testing.T) {
	r := TestRedis(t)
	p, err := StartProxy(r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	expect(t, dial(t, p.Addr()), "PING", "+PONG")
	r.Kill()
	conn := dial(t, p.Addr())
	if answer, err := say(conn, "PING"); err == nil {
		t.Errorf("got %q from a dead server", answer)
	}
	if err := r.Restart(); err != nil {
		t.Fatal(err)
	}
	expect(t, dial(t, p.Addr()), "PING", "+PONG")
}
