package private

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// Tests that were killed have left their folder, those that run keep it.
func TestMemoryOfTheDeadIsSwept(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	folder := func(pid int) string {
		t.Helper()
		dir := filepath.Join(memory, memoryPrefix+strconv.Itoa(pid))
		if err := os.MkdirAll(dir, 0o711); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(dir) })
		return dir
	}
	left, kept := folder(dead.Process.Pid), folder(os.Getppid())
	sweepMemory()
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("the folder of the dead is left: %v", err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}
