package private

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// say sends an inline command and returns the first line of the answer.
func say(conn net.Conn, format string, args ...any) (string, error) {
	if _, err := fmt.Fprintf(conn, format+"\r\n", args...); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// expect sends a command and compares the answer, for which it waits a minute at most.
func expect(t *testing.T, conn net.Conn, cmd, want string) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got, err := say(conn, "%s", cmd); err != nil || got != want {
		t.Errorf("%s: got %q, %v, want %q", cmd, got, err, want)
	}
}

func TestKilledRedisComesBackEmpty(t *testing.T) {
	r := TestRedis(t)
	conn := dial(t, r.Addr())
	expect(t, conn, "SET name value", "+OK")
	expect(t, conn, "EXISTS name", ":1")
	r.Kill()
	if answer, err := say(conn, "PING"); err == nil {
		t.Errorf("a killed server answers %q", answer)
	}
	if err := r.Restart(); err != nil {
		t.Fatal(err)
	}
	expect(t, dial(t, r.Addr()), "EXISTS name", ":0")
}

func TestRedisTakesArguments(t *testing.T) {
	r, err := StartRedis("--appendonly", "yes", "--appendfsync", "always")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	expect(t, dial(t, r.Addr()), "SET name value", "+OK")
	if err := r.Restart(); err != nil {
		t.Fatal(err)
	}
	expect(t, dial(t, r.Addr()), "EXISTS name", ":1")
}

func TestStoppedRedisAnswersLater(t *testing.T) {
	r := TestRedis(t)
	conn := dial(t, r.Addr())
	r.Stop()
	if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if answer, err := say(conn, "PING"); err == nil {
		t.Errorf("a stopped server answers %q", answer)
	}
	r.Continue()
	expect(t, conn, "PING", "+PONG") // the answer to the first
}

func TestRedisFailureTellsTheLog(t *testing.T) {
	r, err := StartRedis("--no-such-argument", "1")
	if err == nil {
		r.Close()
		t.Fatal("a server with an unknown argument started")
	}
	if !strings.Contains(err.Error(), "no-such-argument") {
		t.Errorf("got %q, want what the log says", err)
	}
}

func TestRedisURLHoldsTheAddress(t *testing.T) {
	r := TestRedis(t)
	if want := "redis://" + r.Addr() + "/0"; r.URL() != want {
		t.Errorf("got %s, want %s", r.URL(), want)
	}
}

// starterVariable makes this test binary a process that starts a server and
// waits for its own end.
const starterVariable = "PRIVATE_TEST_STARTER"

func TestServerDiesWithItsStarter(t *testing.T) {
	if os.Getenv(starterVariable) != "" {
		starter(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithItsStarter$")
	cmd.Env = append(os.Environ(), starterVariable+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	var pid int
	_, scanErr := fmt.Fscan(out, &dir, &pid)
	server, ok := readProc(pid)
	_ = cmd.Process.Kill() // it runs until then
	_ = cmd.Wait()         // killed
	defer os.RemoveAll(dir)
	if scanErr != nil || !ok {
		t.Fatalf("the starter told folder %q, process %d: %v", dir, pid, scanErr)
	}
	awaitEnd([]proc{server}) // hangs if it lives on
}

func starter(t *testing.T) {
	r := TestRedis(t)
	runtime.GC() // idle threads may end, that of the server must not
	fmt.Println(r.dir, r.Pid())
	select {}
}
