package main

import (
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// cgroup is what the process is allowed, by the tightest of the groups it is in; zero: no bound, or not Linux.
type cgroup struct {
	quota              float64 // cores
	memory             int64   // bytes
	periods, throttled float64 // of the group with the quota, since it began
}

// readCgroup reads version 2, and 1 where there is no 2. In a container the folder of the process's own group is most often not to be
// seen, and what is at the top is its own; so all folders from the group to the top are looked at.
func readCgroup(system fs.FS) cgroup {
	var g cgroup
	membership, _ := fs.ReadFile(system, "proc/self/cgroup")
	for line := range strings.Lines(string(membership)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		names, group, ok := strings.Cut(rest, ":")
		if !ok {
			continue
		}
		switch {
		case names == "":
			g.readCPU(system, "sys/fs/cgroup", group, quota2)
			g.readMemory(system, "sys/fs/cgroup", group, "memory.max")
		case slices.Contains(strings.Split(names, ","), "cpu"):
			g.readCPU(system, "sys/fs/cgroup/cpu", group, quota1)
		case slices.Contains(strings.Split(names, ","), "memory"):
			g.readMemory(system, "sys/fs/cgroup/memory", group, "memory.limit_in_bytes")
		}
	}
	return g
}

// readCPU takes the smallest quota of the group and those around it.
func (g *cgroup) readCPU(system fs.FS, root, group string, quota func(fs.FS, string) float64) {
	for _, folder := range upward(root, group) {
		cores := quota(system, folder)
		if cores <= 0 || g.quota > 0 && cores >= g.quota {
			continue
		}
		stat := readPairs(system, folder+"/cpu.stat")
		g.quota, g.periods, g.throttled = cores, stat["nr_periods"], stat["nr_throttled"]
	}
}

// unbounded is above every memory there is: version 1 says so for no limit.
const unbounded = 1 << 60

// readMemory takes the smallest limit of the group and those around it.
func (g *cgroup) readMemory(system fs.FS, root, group, file string) {
	for _, folder := range upward(root, group) {
		text, _ := fs.ReadFile(system, folder+"/"+file) // "max" reads as zero
		if limit := int64(min(number(text), unbounded)); limit > 0 && limit < unbounded && (g.memory == 0 || limit < g.memory) {
			g.memory = limit
		}
	}
}

// upward is the folders from the group to the root.
func upward(root, group string) []string {
	folders := []string{}
	for group = path.Clean("/" + group); group != "/"; group = path.Dir(group) {
		folders = append(folders, root+group)
	}
	return append(folders, root)
}

// quota2 is the cores of version 2; "max 100000" is none.
func quota2(system fs.FS, folder string) float64 {
	text, _ := fs.ReadFile(system, folder+"/cpu.max")
	fields := bytes.Fields(text)
	if len(fields) != 2 {
		return 0
	}
	return ratio(number(fields[0]), number(fields[1]))
}

// quota1 is the cores of version 1; -1 is none.
func quota1(system fs.FS, folder string) float64 {
	allowed, _ := fs.ReadFile(system, folder+"/cpu.cfs_quota_us")
	period, _ := fs.ReadFile(system, folder+"/cpu.cfs_period_us")
	return ratio(number(allowed), number(period))
}

// readPairs reads lines of a name and a number.
func readPairs(system fs.FS, file string) map[string]float64 {
	all := map[string]float64{}
	text, _ := fs.ReadFile(system, file)
	for line := range bytes.Lines(text) {
		if name, value, ok := bytes.Cut(line, []byte(" ")); ok {
			all[string(name)] = number(value)
		}
	}
	return all
}
