package manifests

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// loadCompose reads Compose files as docker compose does: against the specification's schema, merged, consistent.
func loadCompose(t *testing.T, names ...string) *types.Project {
	t.Helper()
	dir, err := filepath.Abs(deployDir)
	if err != nil {
		t.Fatal(err)
	}
	details := types.ConfigDetails{WorkingDir: dir, Environment: types.Mapping{}}
	for _, name := range names {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: filepath.Join(dir, name)})
	}
	project, err := loader.LoadWithContext(t.Context(), details)
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func composeFiles(t *testing.T) map[string]*types.Project {
	return map[string]*types.Project{
		"compose.yaml":         loadCompose(t, "compose.yaml"),
		"compose.observe.yaml": loadCompose(t, "compose.yaml", "compose.observe.yaml"),
	}
}

func TestComposeIsHardened(t *testing.T) {
	for file, project := range composeFiles(t) {
		for name, s := range project.Services {
			for problem, bad := range serviceFaults(s) {
				if bad {
					t.Errorf("%s: %s: %s", file, name, problem)
				}
			}
			for _, port := range s.Ports {
				if port.HostIP != "127.0.0.1" {
					t.Errorf("%s: %s: port %s is published to %q", file, name, port.Published, port.HostIP)
				}
			}
		}
	}
}

// By it a server knows what it runs on, and what its doctor's commands are.
func TestServerOfComposeKnowsIt(t *testing.T) {
	for file, project := range composeFiles(t) {
		if is := project.Services["oauth2-server"].Environment["COMPOSE_PROJECT_NAME"]; is == nil || *is != project.Name {
			t.Errorf("%s: got %v, want %s", file, is, project.Name)
		}
	}
}

func serviceFaults(s types.ServiceConfig) map[string]bool {
	return map[string]bool{
		"may write its root":              !s.ReadOnly,
		"keeps capabilities":              !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged,
		"may gain privileges":             !slices.Contains(s.SecurityOpt, "no-new-privileges:true"),
		"image is not pinned: " + s.Image: !pinned.MatchString(s.Image),
		"has no bounds":                   s.MemLimit == 0 || s.CPUS == 0 || s.PidsLimit == 0,
		"has no health check":             s.HealthCheck == nil,
		"is not restarted":                s.Restart == "",
		"has a password in clear":         slices.ContainsFunc(slices.Collect(maps.Keys(s.Environment)), isOpenSecret),
	}
}

func isOpenSecret(name string) bool {
	return (strings.Contains(name, "PASSWORD") || strings.Contains(name, "SECRET") || strings.HasSuffix(name, "_KEY")) && !strings.HasSuffix(name, "_FILE")
}

// The names that the runbook's lines rely on; the schema before the server; and time to end in.
func TestComposeServices(t *testing.T) {
	services := loadCompose(t, "compose.yaml").Services
	if got, want := slices.Sorted(maps.Keys(services)), []string{"flyway-migration", "oauth2-server", "postgres", "redis"}; !slices.Equal(got, want) {
		t.Errorf("got the services %q, want %q", got, want)
	}
	server := services["oauth2-server"]
	if got := server.DependsOn["flyway-migration"].Condition; got != types.ServiceConditionCompletedSuccessfully {
		t.Errorf("the server starts when the migration is %s", got)
	}
	if got := services["flyway-migration"].DependsOn["postgres"].Condition; got != types.ServiceConditionHealthy {
		t.Errorf("the migration starts when Postgres is %s", got)
	}
	if least := duration(t, *server.Environment["OAUTH2_SHUTDOWN_TIMEOUT"]); time.Duration(*server.StopGracePeriod) <= least {
		t.Errorf("the server is killed after %v, and takes up to %v", server.StopGracePeriod, least)
	}
	published := map[uint32]string{}
	for _, port := range server.Ports {
		published[port.Target] = port.Published
	}
	if want := map[uint32]string{8080: "8080", 8081: "8081"}; !maps.Equal(published, want) {
		t.Errorf("got the ports %v, want %v", published, want)
	}
	if postgres := services["postgres"].Environment; *postgres["POSTGRES_USER"] != "oauth2_user" || *postgres["POSTGRES_DB"] != "oauth2" {
		t.Error("the database is not oauth2 of oauth2_user")
	}
	if !loadCompose(t, "compose.yaml").Networks["back"].Internal {
		t.Error("Postgres and Redis reach the outside")
	}
}

// The server takes the variables of its services, and the line at the head of compose.yaml makes the files that they name.
func TestComposeVariables(t *testing.T) {
	server := build(t)
	dir := makeComposeSecrets(t)
	project := loadCompose(t, "compose.yaml")
	for _, name := range []string{"oauth2-server", "flyway-migration"} {
		var environ []string
		for variable, value := range project.Services[name].Environment {
			if secret, isFile := strings.CutPrefix(*value, "/run/secrets/"); isFile {
				*value = filepath.Join(dir, secret)
			}
			environ = append(environ, variable+"="+*value)
		}
		checkVariables(t, server, name, environ, name == "oauth2-server")
	}
	observe := loadCompose(t, "compose.yaml", "compose.observe.yaml")
	for name, secret := range observe.Secrets {
		if _, err := os.Stat(filepath.Join(dir, filepath.Base(secret.File))); err != nil {
			t.Errorf("secret %s: %v", name, err)
		}
	}
}

var comment = regexp.MustCompile(`(?m)^#   (.*)$`)

// makeComposeSecrets runs the lines at the head of compose.yaml.
func makeComposeSecrets(t *testing.T) (dir string) {
	t.Helper()
	text, err := os.ReadFile(deployDir + "/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var script []string
	for _, line := range comment.FindAllStringSubmatch(string(text), -1) {
		script = append(script, line[1])
	}
	work := t.TempDir()
	shell(t, work, strings.Join(script, "\n"))
	return filepath.Join(work, "secrets")
}

// What Compose mounts from here is here.
func TestComposeMountsExist(t *testing.T) {
	for _, s := range loadCompose(t, "compose.yaml", "compose.observe.yaml").Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
	}
}
