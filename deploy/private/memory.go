package private

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	memory       = "/dev/shm"
	memoryPrefix = "oauth2-server-tests-" // and the pid of the tests
	memoryWanted = 4 << 30                // bytes that must be free: each Postgres writes up to 1 GiB of WAL
)

// memoryFolder makes a folder in memory for the servers of this process: on a disk the files of one new
// database alone take Postgres 0.2 s. It is "", for the system's folder for temporary files, where there is too little memory.
func memoryFolder() string {
	var free syscall.Statfs_t
	if err := syscall.Statfs(memory, &free); err != nil || free.Bavail*uint64(free.Bsize) < memoryWanted {
		return ""
	}
	sweepMemory()
	dir := filepath.Join(memory, memoryPrefix+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) { // Postgres runs as another user
		return ""
	}
	return dir
}

// sweepMemory removes the folders of processes that were killed; their servers died with them.
func sweepMemory() {
	folders, _ := filepath.Glob(filepath.Join(memory, memoryPrefix+"*")) // the pattern is well-formed
	for _, folder := range folders {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(folder), memoryPrefix))
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(folder) // it may be another user's
		}
	}
}
