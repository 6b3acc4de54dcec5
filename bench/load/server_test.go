package load

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// rawServer hands each connection to a function of the test and closes it after.
type rawServer struct {
	addr        string
	connections atomic.Int64
	requests    atomic.Int64
}

func newRawServer(t testing.TB, serve func(s *rawServer, c net.Conn)) *rawServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{addr: listener.Addr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			serving.Go(func() {
				defer c.Close()
				serve(s, c)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return s
}

// answering serves every request of a connection with a text. It ends with the connection.
func answering(text string) func(*rawServer, net.Conn) {
	return func(s *rawServer, c net.Conn) {
		for in := bufio.NewReader(c); s.read(in); {
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
		}
	}
}

// once answers one request with a text and closes.
func once(text string) func(*rawServer, net.Conn) {
	return func(s *rawServer, c net.Conn) {
		if s.read(bufio.NewReader(c)) {
			_, _ = c.Write([]byte(text)) // the test sees at the other end what became of it
		}
	}
}

// read reads a request without a body and reports whether there was one.
func (s *rawServer) read(in *bufio.Reader) bool {
	if _, err := http.ReadRequest(in); err != nil {
		return false
	}
	s.requests.Add(1)
	return true
}

const good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func (s *rawServer) shot() *Shot {
	return &Shot{Kind: "ask", Addr: s.addr, Bytes: []byte("GET / HTTP/1.1\r\nHost: test\r\n\r\n")}
}

// repeat gives the same shot to all workers.
func repeat(shot *Shot) func(int) Source {
	return func(int) Source { return func() *Shot { return shot } }
}

// times gives a shot to each worker so often.
func times(n int, shot *Shot) func(int) Source {
	return func(int) Source {
		left := n
		return func() *Shot {
			if left--; left < 0 {
				return nil
			}
			return shot
		}
	}
}

func mustRun(t testing.TB, p Plan) *Outcome {
	t.Helper()
	o, err := Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
