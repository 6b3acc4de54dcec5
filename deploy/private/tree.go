package private

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// A proc is one process. The start time tells it from a later one with its pid.
type proc struct {
	pid     int
	parent  int
	started string // clock ticks since boot
	state   byte   // 'T' is stopped, 'Z' is dead and not yet reaped
}

// readProc reads /proc/<pid>/stat; ok is false when there is no such process.
func readProc(pid int) (p proc, ok bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return proc{}, false
	}
	// "pid (name) state parent …": the name may hold spaces and parentheses.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return proc{}, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return proc{pid, parent, string(fields[19]), fields[0][0]}, err == nil
}

// tree lists the process and all that descend from it. Postgres' children
// lead sessions of their own, so that no signal to a group reaches them all.
func tree(root int) []proc {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := make(map[int][]proc)
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			if p, ok := readProc(pid); ok {
				children[p.parent] = append(children[p.parent], p)
			}
		}
	}
	p, ok := readProc(root)
	if !ok {
		return nil
	}
	procs := []proc{p}
	for i := 0; i < len(procs); i++ {
		procs = append(procs, children[procs[i].pid]...)
	}
	return procs
}

// freeze stops the whole tree and lists it. It returns once every process
// stands still, so that none can fork another unseen.
func freeze(root int) []proc {
	for quiet := 0; ; {
		procs := tree(root)
		moving := slices.DeleteFunc(slices.Clone(procs), proc.still)
		if len(moving) > 0 {
			quiet = 0
			signal(moving, syscall.SIGSTOP)
			time.Sleep(time.Millisecond) // other processes: there is no event to await
			continue
		}
		// One look is not enough: a child can be forked after the pids were read
		// and before its parent, seen to stand still, did.
		if quiet++; quiet == 2 {
			return procs
		}
	}
}

// signal sends sig to each process that still is the one that was listed.
func signal(procs []proc, sig syscall.Signal) {
	for _, p := range procs {
		if p.alive() {
			_ = syscall.Kill(p.pid, sig) // an error means that it is gone
		}
	}
}

// alive reports whether p has not ended. What only waits to be reaped has: its files
// and ports are closed.
func (p proc) alive() bool {
	now, ok := readProc(p.pid)
	return ok && now.started == p.started && now.state != 'Z'
}

// still reports whether p can do nothing any more.
func (p proc) still() bool { return p.state == 'T' || p.state == 'Z' }

// awaitEnd returns when all processes, sent SIGKILL before, have ended.
func awaitEnd(procs []proc) {
	for _, p := range procs {
		for p.alive() {
			time.Sleep(time.Millisecond) // not our children: there is no event to await
		}
	}
}
