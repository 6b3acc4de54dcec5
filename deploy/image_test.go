package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"oauth2-server/deploy/private"
)

// user is whom the image runs as.
const user = 65532

// An image is the file tree of the Dockerfile's last stage in a plain folder, and how it is run.
type image struct {
	t          *testing.T
	root       string
	workDir    string
	env        []string
	entrypoint []string
	command    []string
	facts      map[string]string // USER, EXPOSE, HEALTHCHECK
}

// layImage does what the instructions of the Dockerfile's last stage say. Of an instruction that it does not know it complains, so that the
// two cannot drift apart.
func layImage(t *testing.T) *image {
	t.Helper()
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, stage, _ := bytes.Cut(text, []byte("\nFROM scratch\n"))
	i := &image{t: t, root: t.TempDir(), facts: map[string]string{}}
	for line := range strings.Lines(string(stage)) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch instruction {
		case "", "#":
		case "COPY":
			i.copy(strings.Fields(rest))
		case "WORKDIR":
			i.workDir = rest
		case "ENV":
			i.env = append(i.env, strings.Fields(rest)...)
		case "ENTRYPOINT":
			i.entrypoint = list(t, rest)
		case "CMD":
			i.command = list(t, rest)
		case "USER", "EXPOSE", "HEALTHCHECK":
			i.facts[instruction] = rest
		default:
			t.Fatalf("this test does not know %s", instruction)
		}
	}
	i.seal()
	return i
}

func list(t *testing.T, text string) (words []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &words); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return words
}

// copy lays out one COPY: what the stage before has made, with an owner and a mode.
func (i *image) copy(fields []string) {
	i.t.Helper()
	mode, owner := fs.FileMode(0o444), 0
	for ; strings.HasPrefix(fields[0], "--"); fields = fields[1:] {
		option, value, _ := strings.Cut(fields[0], "=")
		switch {
		case fields[0] == "--from=build":
		case fields[0] == "--chown=65532:65532":
			owner = user
		case option == "--chmod":
			bits, err := strconv.ParseUint(value, 8, 9)
			i.must(err)
			mode = fs.FileMode(bits)
		default:
			i.t.Fatalf("this test does not know COPY %s", fields[0])
		}
	}
	to := filepath.Join(i.root, fields[1])
	i.must(os.MkdirAll(filepath.Dir(to), 0o755))
	switch fields[0] { // of the stage before
	case "/etc/ssl/certs/ca-certificates.crt":
		content, err := os.ReadFile(fields[0])
		i.must(err)
		i.must(os.WriteFile(to, content, mode))
	case "/out/oauth2-server":
		i.build(to)
		i.must(os.Chmod(to, mode))
	case "/out/data":
		i.must(os.Mkdir(to, mode))
	default:
		i.t.Fatalf("this test does not know how %s is made", fields[0])
	}
	if owner != 0 && os.Geteuid() == 0 {
		i.must(os.Chown(to, owner, owner))
	}
}

// build makes the binary by the Dockerfile's own line.
func (i *image) build(to string) {
	i.t.Helper()
	text, err := os.ReadFile("Dockerfile")
	i.must(err)
	const line = "CGO_ENABLED=0 go build -trimpath -o /out/oauth2-server ./cmd/oauth2-server"
	if !bytes.Contains(text, []byte("RUN "+line)) {
		i.t.Fatalf("the Dockerfile does not build by: %s", line)
	}
	cmd := exec.Command("sh", "-c", strings.Replace(line, "/out/oauth2-server", "'"+to+"'", 1))
	cmd.Dir = ".."
	if output, err := cmd.CombinedOutput(); err != nil {
		i.t.Fatalf("%s: %v\n%s", line, err, output)
	}
}

// seal makes the tree as good as mounted read-only: no folder but those of the image's user can be written by it. It is opened
// again after the test, to be removed.
func (i *image) seal() {
	i.t.Helper()
	var folders []string
	i.must(filepath.WalkDir(i.root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != filepath.Join(i.root, "data") {
			folders = append(folders, path)
		}
		return err
	}))
	for _, folder := range slices.Backward(folders) {
		i.must(os.Chmod(folder, 0o555))
	}
	i.t.Cleanup(func() {
		for _, folder := range folders {
			_ = os.Chmod(folder, 0o755)
		}
	})
}

// run prepares a container's process: the tree is its root, and all that it knows.
func (i *image) run(ctx context.Context, env []string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	if len(args) == 0 {
		args = i.command
	}
	line := slices.Concat(i.entrypoint, args)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir = i.workDir
	cmd.Env = slices.Concat(i.env, env)
	output := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: i.root, Credential: &syscall.Credential{Uid: user, Gid: user, NoSetGroups: true}}
	if os.Geteuid() != 0 { // whoever we are is the image's user, in a namespace of its own
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: user, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: user, HostID: os.Getegid(), Size: 1}}
	}
	return cmd, output
}

// serve runs the image's own command until the test ends it, and returns when the image's health check is content and "what" is good.
func (i *image) serve(env []string, what string) (end func()) {
	i.t.Helper()
	cmd, output := i.run(context.Background(), env)
	i.must(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	i.t.Cleanup(func() { _ = cmd.Process.Kill() }) // of one that has ended: no matter
	check := strings.Fields(i.facts["HEALTHCHECK"])
	probe := list(i.t, strings.Join(check[slices.Index(check, "CMD")+1:], " "))[1:]
	for deadline := time.Now().Add(time.Minute); i.probe(env, probe...) != nil || i.probe(env, "probe", what) != nil; {
		select {
		case err := <-ended:
			i.t.Fatalf("the server ended: %v\n%s", err, output)
		case <-time.After(20 * time.Millisecond): // another process: there is no event to await
		}
		if time.Now().After(deadline) {
			i.t.Fatalf("the server is not well after a minute: %v", i.probe(env, "probe", what))
		}
	}
	return func() {
		i.t.Helper()
		i.must(cmd.Process.Signal(syscall.SIGTERM))
		if err := <-ended; err != nil {
			i.t.Errorf("the server ended with %v\n%s", err, output)
		}
	}
}

// probe runs a command that ends, such as the health check.
func (i *image) probe(env []string, args ...string) error {
	cmd, output := i.run(i.t.Context(), env, args...)
	if err := cmd.Run(); err != nil {
		return errors.Join(err, errors.New(output.String()))
	}
	return nil
}

func (i *image) must(err error) {
	i.t.Helper()
	if err != nil {
		i.t.Fatal(err)
	}
}

// ports are two free ones.
func (i *image) ports() []string {
	i.t.Helper()
	public, err := private.FreePort()
	i.must(err)
	admin, err := private.FreePort()
	i.must(err)
	return []string{"OAUTH2_SERVER_PORT=" + strconv.Itoa(public), "OAUTH2_ADMIN_PORT=" + strconv.Itoa(admin)}
}

// files are those below a folder of the image.
func (i *image) files(folder string) (names []string) {
	i.t.Helper()
	i.must(filepath.WalkDir(filepath.Join(i.root, folder), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, strings.TrimPrefix(path, i.root))
		}
		return err
	}))
	return names
}

// The tree of the image holds nothing else, and is run in each way that the image is.
func TestImage(t *testing.T) {
	i := layImage(t)
	if got, want := i.files("/"), []string{"/etc/ssl/certs/ca-certificates.crt", "/oauth2-server"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if i.facts["USER"] != "65532:65532" || i.facts["EXPOSE"] != "8080 8081" {
		t.Errorf("got %v", i.facts)
	}
	i.withNobody()
	i.withPostgres()
	i.withoutVolume()
	i.withVolume()
}

// withNobody: the health check fails where nobody listens.
func (i *image) withNobody() {
	i.t.Helper()
	if err := i.probe(i.ports(), "probe"); err == nil || !strings.Contains(err.Error(), "refused") {
		i.t.Errorf("got %v, want a refused connection", err)
	}
}

// withPostgres: nothing is written.
func (i *image) withPostgres() {
	i.t.Helper()
	postgres, err := private.StartPostgres("", "fsync=off")
	i.must(err)
	defer postgres.Close()
	url, err := postgres.NewDatabase()
	i.must(err)
	env := append(i.ports(), "OAUTH2_DATABASE_URL="+url, "OAUTH2_SESSION_KEY=0123456789abcdefghijklmnopqrstuvwxyzABCDEF",
		"OAUTH2_JWT_SECRET=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdef", "OAUTH2_SEED_PASSWORD=correct horse battery")
	i.must(i.probe(env, "migrate"))
	i.serve(env, "/ready")()
	if written := i.files("/data"); len(written) > 0 {
		i.t.Errorf("it wrote %q", written)
	}
}

// withoutVolume: the embedded server cannot write its database, and says what to do.
func (i *image) withoutVolume() {
	i.t.Helper()
	data := filepath.Join(i.root, "data")
	i.must(os.Chmod(data, 0o555))
	i.must(os.Chown(data, os.Geteuid(), os.Getegid()))
	ctx, cancel := context.WithTimeout(i.t.Context(), time.Minute)
	defer cancel()
	cmd, output := i.run(ctx, i.ports())
	if err := cmd.Run(); err == nil {
		i.t.Error("it served")
	}
	for _, want := range []string{"oauth2.db", "OAUTH2_DATABASE_URL", "volume"} {
		if !strings.Contains(output.String(), want) {
			i.t.Errorf("it does not speak of %s:\n%s", want, output)
		}
	}
}

// withVolume: the embedded server keeps its data there, and goes on with it.
func (i *image) withVolume() {
	i.t.Helper()
	data := filepath.Join(i.root, "data")
	i.must(os.Chmod(data, 0o700))
	if os.Geteuid() == 0 {
		i.must(os.Chown(data, user, user))
	}
	env := i.ports()
	i.serve(env, "/ready")()
	if !slices.Contains(i.files("/data"), "/data/oauth2.db") {
		i.t.Errorf("got the files %q, and no database", i.files("/data"))
	}
	i.serve(env, "/ready?for=traffic")()
}
