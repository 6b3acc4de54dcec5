package result

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// ThisMachine is what /proc says of the machine (Linux). What cannot be read is left empty.
func ThisMachine() Machine {
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	meminfo, _ := os.ReadFile("/proc/meminfo")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(field(meminfo, "MemTotal"), " kB"), 10, 64)
	return Machine{
		CPU: field(cpuinfo, "model name"), Cores: runtime.NumCPU(), Memory: kilobytes << 10,
		Kernel: strings.TrimSpace(string(kernel)), Go: runtime.Version(),
	}
}

// field is the first "name: value" of the lines.
func field(text []byte, name string) string {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
