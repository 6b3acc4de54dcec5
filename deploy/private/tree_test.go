package private

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// descendants lists what descends from the test's process and lives.
func descendants(t *testing.T) map[int]bool {
	t.Helper()
	pids := make(map[int]bool)
	for _, p := range tree(os.Getpid())[1:] {
		if p.state != 'Z' {
			pids[p.pid] = true
		}
	}
	return pids
}

func TestTreeHoldsGrandchildren(t *testing.T) {
	cmd := exec.Command("sh", "-c", "setsid sleep 100 & echo; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // the grandchild is there
		t.Fatal(err)
	}
	procs := freeze(cmd.Process.Pid)
	if len(procs) != 2 {
		t.Errorf("got %d processes, want the shell and its child", len(procs))
	}
	for _, p := range procs {
		if now, ok := readProc(p.pid); !ok || now.state != 'T' {
			t.Errorf("process %d is not stopped", p.pid)
		}
	}
	signal(procs, syscall.SIGKILL)
	_ = cmd.Wait() // killed
	awaitEnd(procs)
	for _, p := range procs {
		if p.alive() {
			t.Errorf("process %d is left", p.pid)
		}
	}
}

func TestReusedPidIsNotAlive(t *testing.T) {
	self, ok := readProc(os.Getpid())
	if !ok || !self.alive() {
		t.Fatal("this process is not alive")
	}
	self.started += "0" // as if the pid had been another's
	if self.alive() {
		t.Error("another process with the same pid passes for it")
	}
}
