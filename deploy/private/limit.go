package private

import (
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strconv"
)

// FillDisk starts the server again, so that none of its files can grow past the largest there is: to a table of that size the disk is full,
// while what is written within files still goes through. FreeDisk starts it again without.
func (p *Postgres) FillDisk() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kill()
	shell, err := exec.LookPath("bash") // whose ulimit counts KiB
	if err != nil {
		return err
	}
	largest, err := largestFile(p.data)
	if err != nil {
		return fmt.Errorf("measure the files of postgres: %w", err)
	}
	p.limited = []string{shell, "-c", `ulimit -S -f "$0" && exec "$@"`, strconv.FormatInt(largest>>10, 10)}
	p.command = append(p.limited, p.command...)
	return p.start()
}

// FreeDisk ends what FillDisk began.
func (p *Postgres) FreeDisk() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kill()
	p.command, p.limited = p.command[len(p.limited):], nil
	return p.start()
}

func largestFile(dir string) (largest int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			largest = max(largest, info.Size())
		}
		return err
	})
	return largest, err
}
