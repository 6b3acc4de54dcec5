package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"oauth2-server/deploy/private"
	"oauth2-server/store"
)

// The lines of the runbook are run by bash as they stand, in their order, on two replicas with a Postgres and a Redis of their own.
// Addresses and the URL of the database to restore into are this machine's; placeholders are variables and files, as for its reader.

// A desk is where somebody follows a page.
type desk struct {
	*cluster
	folder string
	env    []string
	here   *strings.Replacer // addresses of the page to those of the test
}

// An exception is a line of which more is to be said than that it succeeds.
type exception struct {
	begins   string
	statuses []int // that it may have; none: 0 alone
	input    string
	patient  bool // it may be refused for a moment: a rotation waits until replicas know the keys that the one before it made
}

var exceptions = []exception{
	{begins: "oauth2-server doctor", statuses: []int{0, 1}},              // 1: it finds something on this machine
	{begins: "oauth2-server token explain", statuses: []int{0, 3}},       // 3: not active
	{begins: "oauth2-server user set-password", input: testSeedPassword}, // to the same: the page signs in by seed.password
	{begins: "oauth2-server user create", input: testSeedPassword},
	{begins: "oauth2-server keys rotate", patient: true},
	{begins: rotateLine, patient: true},
}

const (
	tokenLine  = "TOKEN=$("
	rotateLine = `curl -fsS -X POST -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{}' http://localhost:8081/admin/api/keys/rotate`
)

func newDesk(t *testing.T) *desk {
	t.Helper()
	var ports []string
	for range 2 {
		port, err := private.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, strconv.Itoa(port))
	}
	public, operators := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	pg, database := private.TestOwnPostgres(t, "fsync=off")
	empty, err := pg.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, 1, database, pg, "OAUTH2_SERVER_PORT="+ports[0], "OAUTH2_ADMIN_PORT="+ports[1], "OAUTH2_SERVER_PUBLIC_BASE_URL="+public,
		"OAUTH2_ADMIN_CLIENT_IDS=operator", "OAUTH2_KEY_PUBLISH_AHEAD=0s") // the page rotates several times within a minute
	c.add("OAUTH2_SERVER_PORT=0", "OAUTH2_ADMIN_PORT=0")
	x := &desk{cluster: c, folder: t.TempDir()}
	x.here = strings.NewReplacer("http://localhost:8080", public, "http://localhost:8081", operators,
		"postgres://oauth2_user:PASSWORD@127.0.0.1:5432/oauth2_restored", empty)
	x.furnish()
	return x
}

// furnish gives the folder what the reader's has: the project, the server in PATH, the first operator's password.
func (x *desk) furnish() {
	x.t.Helper()
	self, err := os.Executable()
	if err != nil {
		x.t.Fatal(err)
	}
	bin := filepath.Join(x.folder, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		x.t.Fatal(err)
	}
	for name, target := range map[string]string{"bin/oauth2-server": self, "deploy": "../../deploy", "scripts": "../../scripts"} {
		target, err := filepath.Abs(target)
		if err == nil {
			err = os.Symlink(target, filepath.Join(x.folder, name))
		}
		if err != nil {
			x.t.Fatal(err)
		}
	}
	x.env = append(slices.Concat(os.Environ(), x.cluster.env), "PATH="+bin+":"+os.Getenv("PATH"), "SERVER="+self)
	rewrite(x.t, filepath.Join(x.folder, "seed.password"), testSeedPassword+"\n")
}

// enter runs a line, and keeps what it sets TOKEN to.
func (x *desk) enter(line string) (status int, output string) {
	x.t.Helper()
	cmd := exec.CommandContext(x.t.Context(), "bash", "-c", x.here.Replace(line)+"\nstatus=$?; printf %s \"${TOKEN-}\" > .token; exit $status")
	cmd.Dir, cmd.Env, cmd.Stdin = x.folder, x.env, strings.NewReader(of(line).input)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		x.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

// of is the exception that a line is; most are none.
func of(line string) exception {
	i := slices.IndexFunc(exceptions, func(e exception) bool { return strings.HasPrefix(line, e.begins) })
	if i < 0 {
		return exception{}
	}
	return exceptions[i]
}

// headEnded is what curl says when head has read enough.
const headEnded = "curl: (23)"

// succeeds reports whether a line did what it is for: in a pipe the status is the last one's, but curl says what it could not do.
func succeeds(line string, status int, output string) bool {
	may := append(of(line).statuses, 0)
	return slices.Contains(may, status) && !strings.Contains(strings.ReplaceAll(output, headEnded, ""), "curl: (")
}

// set makes a variable for the lines that follow.
func (x *desk) set(name, value string) { x.env = append(x.env, name+"="+value) }

// must runs a line that has to succeed.
func (x *desk) must(line string) string {
	x.t.Helper()
	status, output := x.enter(line)
	if of(line).patient && !succeeds(line, status, output) {
		x.replicas[0].await("let the keys rotate", func() bool {
			status, output = x.enter(line)
			return succeeds(line, status, output)
		})
	}
	if !succeeds(line, status, output) {
		x.t.Errorf("%s\nends with status %d:\n%s", line, status, output)
	}
	return output
}

var feedPosition = regexp.MustCompile(`(?m)^oauth2_server_feed_position (\S+)$`)

// settle waits until every replica has applied all that was changed: a token of the moment before may die of it yet.
func (x *desk) settle() {
	x.t.Helper()
	beat, err := x.db.Load(x.t.Context(), func(*store.Change) error { return nil })
	if err != nil {
		x.t.Fatal(err)
	}
	for _, r := range x.replicas {
		r.await("follow the feed", func() bool {
			found := feedPosition.FindStringSubmatch(r.get("/metrics").body)
			if found == nil {
				return false
			}
			at, err := strconv.ParseFloat(found[1], 64)
			return err == nil && at >= float64(beat.Cursor.Seq)
		})
	}
}

// fetch runs the page's line that fetches a token for operators, until the server takes it: whoever revokes everything needs another.
func (x *desk) fetch(g *guidebook) {
	x.t.Helper()
	lines := g.shell()
	line := lines[slices.IndexFunc(lines, func(b block) bool { return strings.HasPrefix(b.lines[0], tokenLine) })].lines[0]
	x.settle()
	x.replicas[0].await("take a token of the page", func() bool {
		x.must(line)
		token, err := os.ReadFile(filepath.Join(x.folder, ".token"))
		if err != nil {
			x.t.Fatal(err)
		}
		x.set("TOKEN", string(token))
		request, err := http.NewRequest(http.MethodGet, x.replicas[0].admin()+"/admin/api/stats", nil)
		if err != nil {
			x.t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+string(token))
		return send(request, nil).status == http.StatusOK
	})
}

var secretOf = regexp.MustCompile(`client_secret\s+(\S+)`)

// follow runs every line of a page that is not for a cluster.
func (x *desk) follow(g *guidebook) (lines int) {
	x.t.Helper()
	for _, b := range g.shell() {
		line := b.lines[0]
		if strings.HasPrefix(line, "kubectl ") || strings.Contains(line, "docker compose ") {
			continue // TestLinesForAClusterNameWhatIsDeployed
		}
		if lines++; strings.HasPrefix(line, tokenLine) {
			continue // run before each line that has its token
		}
		if strings.Contains(line, "$TOKEN") {
			x.fetch(g)
		}
		output := x.must(line)
		if found := secretOf.FindStringSubmatch(output); strings.HasPrefix(line, "oauth2-server client create --id operator") && found != nil {
			x.set("SECRET", found[1])
		}
	}
	return lines
}

// inhabit makes what the page speaks of.
func (x *desk) inhabit() {
	x.t.Helper()
	billing := x.newClient("billing")
	x.must("oauth2-server user create --username anna --password -")
	rewrite(x.t, filepath.Join(x.folder, "token.txt"), x.replicas[0].mustIssue(billing))
}

// traffic is a little of what a server does.
func (x *desk) traffic(as identity) {
	for _, r := range x.replicas {
		token := r.mustIssue(as)
		r.isActive(as, token)
		r.isActive(as, token)
		r.revoke(as, token)
		r.get("/.well-known/jwks.json")
	}
}

func TestTheRunbookWorks(t *testing.T) {
	x, g := newDesk(t), openGuidebook(t, "runbook.md")
	var targets []string
	for _, r := range x.replicas {
		targets = append(targets, r.admin())
	}
	want(t, x.replicas[0].log.String(), "OAUTH2_ADMIN_CLIENT_IDS names clients that there are not", `"clients":["operator"]`) // the page makes it
	watch, shop := newPrometheus(t, targets...), x.newClient("shop")
	x.inhabit()
	if lines := x.follow(g); lines < 60 {
		t.Errorf("%d lines were run: the test looks at nothing", lines)
	}
	var queries []string
	for _, b := range g.blocks {
		if b.language == "promql" {
			queries = append(queries, strings.Join(b.lines, "\n"))
		}
	}
	queries = append(queries, "max(sum by (instance) (oauth2_server_db_pool_limit)) == 11") // the connections of a replica, as the pages have it
	for _, query := range watch.until(func() { x.traffic(shop) }, queries...) {
		t.Errorf("returns nothing: %s", query)
	}
	for _, query := range queries {
		if samples := watch.evaluate(query); len(samples) > 0 && !slices.ContainsFunc(samples, isNumber) {
			t.Errorf("returns %v alone: %s", samples[0].Value[1], query)
		}
	}
}

// isNumber: a quantile of nothing is none.
func isNumber(s sample) bool { return s.Value[1] != "NaN" }

// A line that fails fails the test, also where it is but the head of a pipe.
func TestMistakesInLinesAreFound(t *testing.T) {
	x := &desk{cluster: &cluster{t: t}, folder: t.TempDir(), here: strings.NewReplacer(), env: os.Environ()}
	for line, good := range map[string]bool{
		"true": true, "false": false, "nobody-has-this-program": false, "curl -fsS file:///dev/null | cat": true,
		"curl -fsS http://127.0.0.1:1/ | head": false, "exit 3": false, "echo $TOKEN # nothing": true,
	} {
		if status, output := x.enter(line); succeeds(line, status, output) != good {
			t.Errorf("%s: got status %d and %q, want success %v", line, status, output, good)
		}
	}
}
