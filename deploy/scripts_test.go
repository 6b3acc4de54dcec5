package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// migrate.sh says what is missing, and with all there migrates and lists.
func TestMigrateScript(t *testing.T) {
	dir := t.TempDir() // a copy: beside the original may be a binary
	script, err := os.ReadFile("../scripts/migrate.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"scripts/migrate.sh": string(script),
		"path/docker":        "#!/bin/sh\necho \"docker $*\"\n",
		"bin/oauth2-server":  "#!/bin/sh\necho \"server $*\"\n",
		"url":                "postgres://oauth2_user@127.0.0.1/oauth2\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tool := range []string{"bash", "sh", "dirname", "realpath", "id"} { // and no more: the machine may have a docker
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, "path", tool)); err != nil {
			t.Fatal(err)
		}
	}
	f := func(wantStatus int, want string, args []string, env ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(dir, "scripts/migrate.sh"), args...)
		cmd.Dir = dir
		cmd.Env = append(env, "PATH="+filepath.Join(dir, "path"))
		output, _ := cmd.CombinedOutput() // its status is looked at
		if got := cmd.ProcessState.ExitCode(); got != wantStatus || !strings.Contains(string(output), want) {
			t.Errorf("%q %q: got status %d, want %d, with %q:\n%s", args, env, got, wantStatus, want, output)
		}
	}
	f(2, "set OAUTH2_DATABASE_URL, like postgres://", nil)
	f(0, "server migrate\nserver migrate status\n", nil, "OAUTH2_DATABASE_URL=postgres://h/d")
	f(0, "server migrate status\n", []string{"status"}, "OAUTH2_DATABASE_URL_FILE=url")
	if err := os.Remove(filepath.Join(dir, "bin/oauth2-server")); err != nil {
		t.Fatal(err)
	}
	mounted := filepath.Join(dir, "url")
	f(0, "--volume "+mounted+":"+mounted+":ro oauth2-server:1.0.0 migrate\n", nil, "OAUTH2_DATABASE_URL_FILE=url")
	if err := os.Remove(filepath.Join(dir, "path/docker")); err != nil {
		t.Fatal(err)
	}
	f(1, "no oauth2-server: make build", nil, "OAUTH2_DATABASE_URL=postgres://h/d")
}
