package deploy_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The unit is right, and lets the process do little: "systemd-analyze security" counts to 100, and what the network leaves is below 20.
func TestUnit(t *testing.T) {
	text, err := os.ReadFile("systemd/oauth2-server.service")
	if err != nil {
		t.Fatal(err)
	}
	there, err := os.Executable() // in the place of the server, which need not be installed
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "oauth2-server.service")
	if err := os.WriteFile(unit, bytes.ReplaceAll(text, []byte("/usr/local/bin/oauth2-server"), []byte(there)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"verify", "--man=no", unit},
		{"security", "--offline=true", "--threshold=20", "--no-pager", unit},
	} {
		output, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, output)
		}
		if args[0] == "verify" && len(output) > 0 {
			t.Errorf("systemd-analyze verify complains:\n%s", output)
		}
	}
}

// Each line by which the unit gives something up: one that is gone adds less than a point to what "systemd-analyze security" counts.
func TestUnitGivesUpWhatItNeedsNot(t *testing.T) {
	text, err := os.ReadFile("systemd/oauth2-server.service")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for _, want := range strings.Fields(`DynamicUser=yes StateDirectoryMode=0700 UMask=0077 CapabilityBoundingSet= AmbientCapabilities= NoNewPrivileges=yes
		ProtectSystem=strict ProtectHome=yes ProtectProc=invisible ProtectClock=yes ProtectControlGroups=yes ProtectHostname=yes
		ProtectKernelLogs=yes ProtectKernelModules=yes ProtectKernelTunables=yes PrivateDevices=yes PrivateMounts=yes PrivateTmp=yes
		PrivateUsers=yes RemoveIPC=yes LockPersonality=yes MemoryDenyWriteExecute=yes RestrictNamespaces=yes RestrictRealtime=yes
		RestrictSUIDSGID=yes SystemCallArchitectures=native SystemCallFilter=@system-service`) {
		if !slices.Contains(lines, want) {
			t.Errorf("there is no %s", want)
		}
	}
	for _, want := range []string{"RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "SystemCallFilter=~@privileged @resources"} {
		if !slices.Contains(lines, want) {
			t.Errorf("there is no %s", want)
		}
	}
}

// /proc/sys is seen: without it the runtime takes 128 for the length of the queue of new connections.
func TestUnitSeesBacklog(t *testing.T) {
	text, err := os.ReadFile("systemd/oauth2-server.service")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("ProcSubset=pid")) {
		t.Error("ProcSubset=pid hides /proc/sys/net/core/somaxconn")
	}
}

// Each credential that a variable names is loaded, and the other way round.
func TestUnitCredentials(t *testing.T) {
	text, err := os.ReadFile("systemd/oauth2-server.service")
	if err != nil {
		t.Fatal(err)
	}
	loaded := submatches(`(?m)^LoadCredential=([a-z-]+):/etc/oauth2-server/secrets/([a-z-]+)$`, text)
	named := submatches(`(?m)^Environment=OAUTH2_([A-Z_]+)_FILE=%d/([a-z-]+)$`, text)
	if len(loaded) != len(named) || len(loaded) != 4 {
		t.Errorf("got %q and %q, want 4 of each", loaded, named)
	}
	for name, file := range named {
		if want := strings.ToLower(strings.ReplaceAll(name, "_", "-")); file != want || loaded[file] != file {
			t.Errorf("OAUTH2_%s_FILE is %s, loaded from %q", name, file, loaded[file])
		}
	}
}

// submatches maps the first part of each match to the second.
func submatches(pattern string, text []byte) map[string]string {
	all := map[string]string{}
	for _, match := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
		all[string(match[1])] = string(match[2])
	}
	return all
}
