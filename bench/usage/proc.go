package usage

import (
	"bytes"
	"os"
	"strconv"
)

// ticks is how many clock ticks a second /proc counts in: USER_HZ, which is 100 on every architecture that Go runs on.
const ticks = 100

// A process is what /proc tells about one.
type process struct {
	pid, parent int
	started     string  // ticks since boot: tells it from a later process of the same number
	cpu         float64 // seconds
	rss         int64   // bytes
	shared      int64   // bytes of rss that belong to files or shared memory
}

// A part is the processes of a part at one moment.
type part struct {
	cpu map[string]float64 // seconds, by process
	rss int64
}

// since is the CPU seconds since an earlier look. A process that was not there then counts from its start; what one
// that has ended since used in its last second is lost.
func (p part) since(earlier part) float64 {
	sum := 0.0
	for id, cpu := range p.cpu {
		sum += cpu - earlier.cpu[id]
	}
	return sum
}

// processes is all of the machine's, by parent and by number.
type processes struct {
	byPID    map[int]process
	children map[int][]int
}

func readProcesses() processes {
	all := processes{map[int]process{}, map[int][]int{}}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return all // no Linux: nothing is told
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if p, ok := readProcess(pid); ok {
			all.byPID[pid] = p
			all.children[p.parent] = append(all.children[p.parent], pid)
		}
	}
	return all
}

// tree is the process and all that descend from it. Memory they share counts once: the largest share among them.
func (all processes) tree(root int) part {
	whole := part{cpu: map[string]float64{}}
	var shared int64
	for pids := []int{root}; len(pids) > 0; pids = pids[1:] {
		p, ok := all.byPID[pids[0]]
		if !ok {
			continue
		}
		whole.cpu[strconv.Itoa(p.pid)+"@"+p.started] = p.cpu
		whole.rss += p.rss - p.shared
		shared = max(shared, p.shared)
		pids = append(pids, all.children[p.pid]...)
	}
	whole.rss += shared
	return whole
}

// one is the process without its children.
func (all processes) one(pid int) part {
	only := processes{map[int]process{pid: all.byPID[pid]}, nil}
	return only.tree(pid)
}

// readProcess reads /proc/<pid>/stat and statm; ok is false when there is no such process.
func readProcess(pid int) (p process, ok bool) {
	folder := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(folder + "/stat")
	if err != nil {
		return p, false
	}
	p, ok = parseStat(stat)
	if statm, err := os.ReadFile(folder + "/statm"); err == nil {
		fields := bytes.Fields(statm)
		if len(fields) > 2 {
			page := int64(os.Getpagesize())
			p.rss, p.shared = number(fields[1])*page, number(fields[2])*page
		}
	}
	p.pid = pid
	return p, ok
}

// parseStat reads "pid (name) state parent … utime stime …": the name may hold spaces and parentheses. See proc(5).
func parseStat(stat []byte) (p process, ok bool) {
	const parent, utime, stime, started = 1, 11, 12, 19 // fields after the name
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= started {
		return p, false
	}
	p.parent = int(number(fields[parent]))
	p.started = string(fields[started])
	p.cpu = float64(number(fields[utime])+number(fields[stime])) / ticks
	return p, true
}

// machineBusy is the seconds that all cores together were not idle, from /proc/stat. Time that a hypervisor took
// away counts: nobody here could use it.
func machineBusy() float64 {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	return parseBusy(line)
}

func parseBusy(line []byte) float64 {
	const idle, iowait, guest = 3, 4, 8 // guest time is within user time
	fields := bytes.Fields(line)
	sum := int64(0)
	for i := 1; i < min(len(fields), 1+guest); i++ {
		if i-1 != idle && i-1 != iowait {
			sum += number(fields[i])
		}
	}
	return float64(sum) / ticks
}

// number is 0 for what is none: the kernel writes none such.
func number(text []byte) int64 {
	n, _ := strconv.ParseInt(string(text), 10, 64)
	return n
}
