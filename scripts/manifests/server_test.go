package manifests

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
)

// binaries is where the server is built, once for all tests.
var binaries string

var buildOnce = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(binaries, "oauth2-server")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/oauth2-server")
	cmd.Dir = "../.."
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the server: %w\n%s", err, output)
	}
	return binary, nil
})

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	var err error
	if binaries, err = os.MkdirTemp("", "manifests-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(binaries)
	return m.Run()
}

// build makes the server that the manifests are for.
func build(t *testing.T) (binary string) {
	t.Helper()
	binary, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// In every form, the server takes all its variables: it knows their names and accepts their values, those of secrets included.
func TestServerAcceptsItsVariables(t *testing.T) {
	server := build(t)
	for _, r := range renderings(t) {
		for _, p := range pods(r) {
			for _, c := range p.Spec.Containers {
				if isServer(c) {
					checkVariables(t, server, r.name+": "+p.of, environment(t, r, p, c), c.Args[0] == "serve")
				}
			}
		}
	}
}

func isServer(c core.Container) bool {
	name, _, _ := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":")
	return name == "oauth2-server"
}

// checkVariables asks the server. A migration needs no more than the database, of which "config check" would complain.
func checkVariables(t *testing.T, server, where string, environ []string, whole bool) {
	t.Helper()
	cmd := exec.Command(server, "config", "check", "--json")
	cmd.Env = environ
	output, err := cmd.Output()
	var answer struct {
		OK      bool
		Faults  []string
		Unknown []struct{ Name string }
	}
	if fault := json.Unmarshal(output, &answer); fault != nil {
		t.Fatalf("%s: config check: %v, %v\n%s", where, err, fault, output)
	}
	if whole && !answer.OK || len(answer.Unknown) > 0 {
		t.Errorf("%s: faults %q, unknown %v", where, answer.Faults, answer.Unknown)
	}
	if fault := slices.IndexFunc(answer.Faults, func(text string) bool { return strings.Contains(text, "DATABASE") }); fault >= 0 {
		t.Errorf("%s: %s", where, answer.Faults[fault])
	}
}

// environment is the variables of a container, with the files that they name.
func environment(t *testing.T, r rendering, p pod, c core.Container) (environ []string) {
	t.Helper()
	for _, from := range c.EnvFrom {
		found := false
		for _, m := range of[*core.ConfigMap](r) {
			if found = m.Name == from.ConfigMapRef.Name; found {
				for name, value := range m.Data {
					environ = append(environ, name+"="+value)
				}
				break
			}
		}
		if !found {
			t.Errorf("%s: %s: there is no ConfigMap %s", r.name, p.of, from.ConfigMapRef.Name)
		}
	}
	mounts := mountSecrets(t, r, p, c)
	for _, e := range c.Env {
		value := e.Value
		if strings.HasSuffix(e.Name, "_FILE") {
			value = mounts + value
		}
		if e.ValueFrom == nil {
			environ = append(environ, e.Name+"="+value)
		}
	}
	return environ
}

// mountSecrets lays out a container's secrets below a folder.
func mountSecrets(t *testing.T, r rendering, p pod, c core.Container) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, v := range p.Spec.Volumes {
		at := slices.IndexFunc(c.VolumeMounts, func(m core.VolumeMount) bool { return m.Name == v.Name })
		if v.Secret == nil || at < 0 {
			continue
		}
		dir := filepath.Join(root, c.VolumeMounts[at].MountPath)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		held := secretValues(r, v.Secret.SecretName)
		for _, item := range v.Secret.Items {
			if err := os.WriteFile(filepath.Join(dir, item.Path), []byte(held[item.Key]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

// A pod that ends has the time that its server takes.
func TestGraceCoversShutdown(t *testing.T) {
	for _, r := range renderings(t) {
		config := map[string]string{}
		for _, m := range of[*core.ConfigMap](r) {
			config = m.Data
		}
		least := duration(t, config["OAUTH2_SHUTDOWN_DELAY"]) + duration(t, config["OAUTH2_SHUTDOWN_TIMEOUT"])
		for _, d := range of[*apps.Deployment](r) {
			if d.Name != "oauth2-server" {
				continue
			}
			if grace := time.Duration(*d.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second; grace <= least {
				t.Errorf("%s: the pod is killed after %v, the server takes up to %v", r.name, grace, least)
			}
			if rolling := d.Spec.Strategy.RollingUpdate; rolling == nil || rolling.MaxUnavailable.IntValue() != 0 {
				t.Errorf("%s: a rollout takes replicas away before there are new ones", r.name)
			}
		}
	}
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The server answers what probes, monitors and Ingresses ask for.
func TestPathsAreAnswered(t *testing.T) {
	public, admin := startServer(t, build(t))
	asked := map[string]bool{}
	for _, r := range renderings(t) {
		for url := range paths(r, public, admin) {
			asked[url] = true
		}
	}
	for _, url := range slices.Sorted(maps.Keys(asked)) {
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		answer, err := client.Get(url)
		if err != nil {
			t.Error(err)
			continue
		}
		answer.Body.Close()
		if answer.StatusCode >= http.StatusBadRequest {
			t.Errorf("%s: got %s", url, answer.Status)
		}
	}
	if len(asked) < 5 {
		t.Errorf("got %v: too few to believe", asked)
	}
}

// below is a path under each prefix of the Ingress.
var below = map[string]string{
	"/oauth": "/oauth/logout", "/.well-known": "/.well-known/jwks.json", "/auth": "/auth/login", "/profile": "/profile", "/": "/",
}

// paths are the URLs that a rendering makes others ask for.
func paths(r rendering, public, admin string) map[string]bool {
	urls := map[string]bool{}
	for _, p := range pods(r) {
		for _, c := range p.Spec.Containers {
			for _, probe := range []*core.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
				if probe != nil && probe.HTTPGet != nil {
					urls[probeURL(probe, public, admin)] = true
				}
			}
		}
	}
	for _, m := range of[*serviceMonitor](r) {
		for _, endpoint := range m.Spec.Endpoints {
			urls[admin+endpoint.Path] = true
		}
	}
	for _, i := range of[*networking.Ingress](r) {
		for _, path := range i.Spec.Rules[0].HTTP.Paths {
			urls[public+below[path.Path]] = true
		}
	}
	return urls
}

// startServer starts the embedded default on free ports, and ends it after the test.
func startServer(t *testing.T, binary string, environ ...string) (public, admin string) {
	t.Helper()
	cmd := exec.Command(binary, "serve")
	cmd.Dir = t.TempDir()
	cmd.Env = append(environ, "OAUTH2_SERVER_PORT=0", "OAUTH2_ADMIN_PORT=0")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line struct{ Msg, Address, Admin string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			go func() { _, _ = io.Copy(io.Discard, log) }()
			awaitReady(t, "http://"+line.Address)
			return "http://" + line.Address, "http://" + line.Admin
		}
	}
	t.Fatal("the server ended before it listened")
	return "", ""
}

func awaitReady(t *testing.T, server string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		answer, err := http.Get(server + "/ready")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(20 * time.Millisecond) // another process: there is no event to await
	}
	t.Fatal("the server does not become ready")
}
