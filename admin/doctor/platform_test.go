package doctor

import (
	"os"
	"strings"
	"testing"
	"time"

	"oauth2-server/store"
)

// Whose platform counts: the replica's, else that of the one that was seen last and tells, else that of who asks.
func TestPlatformOfAFix(t *testing.T) {
	f := func(what, want string, spoil func(f *Facts)) {
		t.Helper()
		facts := healthy()
		facts.Replicas[1].Seen = noon.Add(time.Second) // the last
		facts.Platform = store.PlatformSystemd
		spoil(facts)
		if got := facts.commands(&facts.Replicas[0]).log; got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	f("its own", "kubectl -n oauth2-server logs pod-0", func(f *Facts) {
		f.on(store.PlatformCompose).Replicas[0].Vitals.Platform = store.PlatformKubernetes
	})
	f("it does not tell", "docker compose logs --tail=100 oauth2-server", func(f *Facts) {
		f.on(store.PlatformKubernetes)
		f.Replicas[0].Vitals.Platform, f.Replicas[1].Vitals.Platform = "", store.PlatformCompose
	})
	f("the last does not tell either", "kubectl -n oauth2-server logs pod-0", func(f *Facts) { f.Replicas[2].Vitals.Platform = store.PlatformKubernetes })
	f("nobody tells", "on pod-0: journalctl -u oauth2-server -n 100 --no-pager", func(*Facts) {})
	f("not known at all", "on pod-0: look at the log of oauth2-server", func(f *Facts) { f.Platform = "" })
	f("processes are no unit", "on pod-0: look at the log of oauth2-server", func(f *Facts) { f.on(store.PlatformProcess) })
}

func TestCommandsOfAllServers(t *testing.T) {
	f := func(platform, want string) {
		t.Helper()
		if got := healthy().on(platform).commands(nil).log; got != want {
			t.Errorf("%s: got %s, want %s", platform, got, want)
		}
	}
	f(store.PlatformKubernetes, "kubectl -n oauth2-server logs -l app=oauth2-server --prefix --max-log-requests=50")
	f(store.PlatformSystemd, "journalctl -u oauth2-server -n 100 --no-pager")
	f(store.PlatformProcess, "look at the log of oauth2-server")
}

// A database that did not come with the server has no pod of ours.
func TestCommandsOfAnotherPostgres(t *testing.T) {
	f := func(host, want string) {
		t.Helper()
		facts := healthy().on(store.PlatformKubernetes)
		facts.DatabaseWay = []store.Reach{{Host: host}}
		if got := facts.commands(nil).postgresLog; got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
	f("db.example.com:5432", "look at the log of Postgres")
	f("postgres:5432", "kubectl -n oauth2-server logs postgres-0 --tail=100")
	f("postgres.oauth2-server.svc:5432", "kubectl -n oauth2-server logs postgres-0 --tail=100")
}

func TestClientOfRedis(t *testing.T) {
	f := func(platform, address, want string) {
		t.Helper()
		if got := (&Facts{Platform: platform}).commands(nil).redis(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
	f("", "10.0.0.1:6380", "redis-cli -h 10.0.0.1 -p 6380")
	f("", "[2001:db8::1]:6379", "redis-cli -h 2001:db8::1 -p 6379")
	f("", "/run/redis.sock", "redis-cli -s /run/redis.sock")
	f("", odd+":6379", "redis-cli -h HOST -p 6379")
	f("", odd, "redis-cli -s SOCKET")
	f(store.PlatformCompose, "redis:6379", "docker compose exec redis redis-cli -h redis -p 6379")
	f(store.PlatformKubernetes, "cache.example.com:6379", "redis-cli -h cache.example.com -p 6379") // not the one of ours
	f(store.PlatformKubernetes, "redis:6379", "kubectl -n oauth2-server exec deploy/redis -- redis-cli -h redis -p 6379")
}

// What a platform is asked with stands in one file.
func TestPlatformsStandInOneFile(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, tool := range []string{"kubectl ", "docker compose", "journalctl", "systemctl"} {
			if file.Name() != "platform.go" && !strings.HasSuffix(file.Name(), "_test.go") && strings.Contains(string(text), tool) {
				t.Errorf("%s has %s", file.Name(), tool)
			}
		}
	}
}
