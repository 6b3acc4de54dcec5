package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A workshop is a folder with copies of scripts, beside the originals of which may be a binary, and with few tools in PATH.
type workshop struct {
	t   *testing.T
	dir string
}

func newWorkshop(t *testing.T, scripts []string, tools ...string) *workshop {
	w := &workshop{t, t.TempDir()}
	for _, script := range scripts {
		text, err := os.ReadFile("../" + script)
		if err != nil {
			t.Fatal(err)
		}
		w.put(script, string(text))
	}
	w.put("path/.tools", "")
	for _, tool := range tools {
		path, err := exec.LookPath(tool)
		if err == nil {
			err = os.Symlink(path, filepath.Join(w.dir, "path", tool))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// put makes a file that may be run.
func (w *workshop) put(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

// run wants a script to end with a status, and to say a part.
func (w *workshop) run(wantStatus int, want string, args []string, env ...string) {
	w.t.Helper()
	cmd := exec.Command(filepath.Join(w.dir, args[0]), args[1:]...)
	cmd.Dir = w.dir
	cmd.Env = append(env, "PATH="+filepath.Join(w.dir, "path"))
	output, _ := cmd.CombinedOutput() // its status is looked at
	if got := cmd.ProcessState.ExitCode(); got != wantStatus || !strings.Contains(string(output), want) {
		w.t.Errorf("%q %q: got status %d, want %d, with %q:\n%s", args, env, got, wantStatus, want, output)
	}
}

// restore.sh finds the program where migrate.sh does.
func TestRestoreScriptFindsTheServer(t *testing.T) {
	w := newWorkshop(t, []string{"deploy/backup/restore.sh", "deploy/backup/connection.sh"}, "bash", "dirname", "basename")
	f := func(want string, env ...string) {
		t.Helper()
		w.run(1, want, []string{"deploy/backup/restore.sh", "none.dump"}, env...)
	}
	const found = "OAUTH2_JWT_SECRET is not set" // the next that it looks at
	f("no program oauth2-server: make build")
	w.put("path/oauth2-server", "")
	f(found)
	f("no program elsewhere", "SERVER=elsewhere")
	if err := os.Remove(filepath.Join(w.dir, "path/oauth2-server")); err != nil {
		t.Fatal(err)
	}
	w.put("bin/oauth2-server", "")
	f(found)
}

// secrets.sh names the overlays that there are, and says of one without a Postgres that its URLs are to be edited.
func TestSecretsScript(t *testing.T) {
	w := newWorkshop(t, []string{"deploy/kustomize/secrets.sh"}, "bash", "dirname", "openssl", "cat", "grep")
	for _, name := range []string{"dev", "production", "staging"} {
		text, err := os.ReadFile("kustomize/overlays/" + name + "/kustomization.yaml")
		if err != nil {
			t.Fatal(err)
		}
		w.put("deploy/kustomize/overlays/"+name+"/kustomization.yaml", string(text))
	}
	const script = "deploy/kustomize/secrets.sh"
	for _, args := range [][]string{{script}, {script, "prod"}, {script, ""}} {
		w.run(2, "give an overlay, one of: dev production staging\n", args)
	}
	w.run(0, "production/secrets.env\nNow edit OAUTH2_DATABASE_URL and OAUTH2_REDIS_URL", []string{script, "production"})
	w.run(1, "is there already", []string{script, "production"})
	w.run(0, "staging/secrets.env\n", []string{script, "staging"})
	text, err := os.ReadFile(filepath.Join(w.dir, "deploy/kustomize/overlays/staging/secrets.env"))
	if err != nil || !strings.Contains(string(text), "@postgres:5432/") {
		t.Errorf("got %q, %v, want the URL of the overlay's own Postgres", text, err)
	}
}

// migrate.sh says what is missing, and with all there migrates and lists.
func TestMigrateScript(t *testing.T) {
	w := newWorkshop(t, []string{"scripts/migrate.sh"}, "bash", "sh", "dirname", "realpath", "id") // and no more: the machine may have a docker
	dir := w.dir
	w.put("path/docker", "#!/bin/sh\necho \"docker $*\"\n")
	w.put("bin/oauth2-server", "#!/bin/sh\necho \"server $*\"\n")
	w.put("url", "postgres://oauth2_user@127.0.0.1/oauth2\n")
	f := func(wantStatus int, want string, args []string, env ...string) {
		t.Helper()
		w.run(wantStatus, want, append([]string{"scripts/migrate.sh"}, args...), env...)
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
