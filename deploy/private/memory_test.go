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

// The folder of this process is made when those of the dead are swept, and users that the servers run as may pass it.
func TestMemoryFolder(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(memory, memoryPrefix+strconv.Itoa(dead.Process.Pid))
	if err := os.MkdirAll(left, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(left) })
	dir := memoryFolder()
	if dir == "" {
		return // there is too little memory for databases
	}
	if again := memoryFolder(); again != dir {
		t.Errorf("got %q at first and %q then", dir, again)
	}
	about, err := os.Stat(dir)
	if err != nil || about.Mode().Perm()&0o011 != 0o011 {
		t.Errorf("got %v, %v, want that others may pass it", about, err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("the folder of the dead is left: %v", err)
	}
}
