package doctor

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"

	"oauth2-server/store"
)

// commands is what people type where the servers run. A platform without a command for something has words instead.
type commands struct {
	log, before   string // of a server, or of all of them; before is that of the life which ended last
	search        string // %s in the logs of all servers
	state         string // of the servers
	restart       string // all of them
	replace       string // that one by a new one
	status, undo  string // of a rollout
	history       string // of what was rolled out
	probe         string // of %s, a path of a server
	more          string // replicas
	memory        string // more of it
	cpu, threads  string // more processors; as many threads as those
	operators     string // before a URL of the listener for operators
	admin         string // its address
	secret        string // before another command: the certificate, as the platform keeps it
	postgresName  string
	postgresState string
	postgresLog   string
	postgresLoad  string
	deadlocks     string // in the log of Postgres
	psql          string
	redisName     string
	redisState    string
	redisLog      string
	redisCLI      string
}

// commands are those of the replica's platform; without one, of the replica's that was seen last; else of the platform of who asks.
func (f *Facts) commands(r *store.Replica) *commands {
	host, address, platform := "", "ADDRESS", ""
	if r != nil {
		host, address, platform = r.Vitals.Host, word(r.Admin, address), r.Vitals.Platform
	}
	switch cmp.Or(platform, f.lastPlatform(), f.Platform) {
	case store.PlatformKubernetes:
		return f.beside(kubernetes(r != nil, word(host, "POD")))
	case store.PlatformCompose:
		return f.beside(compose())
	case store.PlatformSystemd:
		return systemd(on(r, host), address)
	}
	return plain(on(r, host), address)
}

// beside takes from the commands those for a Postgres of ours, where the server has another one.
func (f *Facts) beside(c *commands) *commands {
	ours := func(r store.Reach) bool { return serviceOf(r.Host) == "postgres" }
	if len(f.DatabaseWay) == 0 || slices.ContainsFunc(f.DatabaseWay, ours) {
		return c
	}
	other := plain("", "")
	c.postgresName, c.postgresState, c.postgresLog = other.postgresName, other.postgresState, other.postgresLog
	c.postgresLoad, c.deadlocks, c.psql = other.postgresLoad, other.deadlocks, other.psql
	return c
}

// serviceOf is the first label of the host in an address.
func serviceOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	service, _, _ := strings.Cut(host, ".")
	return service
}

// on begins what is typed on a machine; where it is not one of them, it is each.
func on(r *store.Replica, host string) string {
	if r == nil {
		return ""
	}
	return "on " + word(host, "HOST") + ": "
}

// lastPlatform is "" where no replica tells: it is of an older version.
func (f *Facts) lastPlatform() string {
	told := slices.DeleteFunc(slices.Clone(f.Replicas), func(r store.Replica) bool { return r.Vitals.Platform == "" })
	if len(told) == 0 {
		return ""
	}
	last := slices.MaxFunc(told, func(a, b store.Replica) int { return a.Seen.Compare(b.Seen) })
	return last.Vitals.Platform
}

const enddate = `openssl x509 -noout -enddate -in "$OAUTH2_TLS_CERT_FILE"`

// kubernetes is as deploy/kustomize has it.
func kubernetes(one bool, pod string) *commands {
	const in, all = "kubectl -n oauth2-server ", "deploy/oauth2-server"
	const every = "-l app=oauth2-server --prefix --max-log-requests=50"
	logs := every
	if one {
		logs = pod
	}
	return &commands{
		log: in + "logs " + logs, before: in + "logs " + logs + " --previous", search: in + "logs " + every + " --tail=-1 | grep -E '%s'",
		state: in + "get pods -l app=oauth2-server", restart: in + "rollout restart " + all, replace: in + "delete pod " + pod,
		status: in + "rollout status " + all, undo: in + "rollout undo " + all, history: in + "rollout history " + all,
		probe:     in + "exec " + pod + " -- /oauth2-server probe %s",
		more:      in + `patch hpa oauth2-server --type=merge -p '{"spec":{"minReplicas":N}}'`, // the autoscaler would undo a scale
		memory:    in + "set resources " + all + " --requests=memory=N --limits=memory=M, with M a third above N",
		cpu:       in + "set resources " + all + " --limits=cpu=N",
		threads:   in + "set env " + all + " GOMAXPROCS-",
		operators: in + "port-forward " + pod + " 8081:8081, then: ", admin: "localhost:8081",
		secret:       in + "get secret oauth2-server-tls; ",
		postgresName: in + "get service postgres; getent hosts HOST", postgresState: in + "get pod postgres-0; " + in + "logs postgres-0 --tail=100",
		postgresLog: in + "logs postgres-0 --tail=100", postgresLoad: in + "top pod postgres-0",
		deadlocks: in + "logs postgres-0 | grep -A5 'deadlock detected'", psql: in + "exec postgres-0 -- psql -U oauth2_user oauth2",
		redisName: in + "get service redis; getent hosts HOST", redisState: in + "get pods -l app=redis",
		redisLog: in + "logs -l app=redis --tail=100", redisCLI: in + "exec deploy/redis -- redis-cli",
	}
}

// compose is as deploy/compose.yaml has it, where there is one server.
func compose() *commands {
	const in, logs = "docker compose ", "docker compose logs --tail=100 "
	const change = " of oauth2-server in deploy/compose.yaml; docker compose up -d oauth2-server"
	return &commands{
		log: logs + "oauth2-server", before: logs + "oauth2-server", search: in + "logs oauth2-server | grep -E '%s'",
		state: in + "ps -a", restart: in + "restart oauth2-server", replace: in + "restart oauth2-server",
		status: in + "ps oauth2-server", undo: "OAUTH2_SERVER_IMAGE=oauth2-server:PREVIOUS docker compose up -d oauth2-server", history: "oauth2-server replicas --all",
		probe: in + "exec oauth2-server /oauth2-server probe %s", more: "raise cpus" + change,
		memory: "raise mem_limit and GOMEMLIMIT" + change, cpu: "raise cpus" + change, threads: "remove GOMAXPROCS" + change, admin: "localhost:8081",
		postgresName: in + "ps -a postgres", postgresState: in + "ps -a postgres; " + logs + "postgres",
		postgresLog: logs + "postgres", postgresLoad: "docker stats --no-stream",
		deadlocks: in + "logs postgres | grep -A5 'deadlock detected'", psql: in + "exec postgres psql -U oauth2_user oauth2",
		redisName: in + "ps -a redis", redisState: in + "ps -a redis", redisLog: logs + "redis", redisCLI: in + "exec redis redis-cli",
	}
}

// systemd is as deploy/systemd has it. Where Postgres and Redis run it does not say.
func systemd(on, address string) *commands {
	const again = "systemctl restart oauth2-server"
	c := plain(on, address)
	c.log = on + "journalctl -u oauth2-server -n 100 --no-pager"
	c.before, c.search = c.log, "journalctl -u oauth2-server --no-pager | grep -E '%s'"
	c.state = on + "systemctl status oauth2-server --no-pager"
	c.restart, c.replace = again, on+again
	c.undo = "install the version before as /usr/local/bin/oauth2-server; " + again
	c.memory = on + "systemctl edit oauth2-server, for MemoryMax=M and Environment=GOMEMLIMIT=N, with M a third above N; " + again
	c.cpu = on + "systemctl edit oauth2-server, for CPUQuota=N%; " + again
	c.threads = on + "systemctl edit oauth2-server, to take GOMAXPROCS out; " + again
	return c
}

// plain is of processes that somebody has started somehow.
func plain(on, address string) *commands {
	const again = "end oauth2-server by SIGTERM and start it again"
	log := on + "look at the log of oauth2-server"
	return &commands{
		log: log, before: log, search: "look for %s in the logs of oauth2-server", state: on + "ps -C oauth2-server -o pid,lstart,args",
		restart: again + ", one after another", replace: on + again, status: "oauth2-server replicas", history: "oauth2-server replicas --all",
		undo:  "end oauth2-server by SIGTERM and start the version before",
		probe: on + "oauth2-server probe %s", more: "start oauth2-server on one more machine",
		memory:  on + "raise the bound of memory of oauth2-server, and GOMEMLIMIT to three quarters of it",
		cpu:     on + "raise the bound of processors of oauth2-server",
		threads: on + "start oauth2-server without GOMAXPROCS", operators: on, admin: address,
		postgresName: "getent hosts HOST", postgresState: "see that Postgres runs, and look at its log", postgresLog: "look at the log of Postgres",
		postgresLoad: "top, where Postgres runs", deadlocks: "look for 'deadlock detected' in the log of Postgres", psql: "psql",
		redisName: "getent hosts HOST", redisState: "see that Redis runs", redisLog: "look at the log of Redis", redisCLI: "redis-cli",
	}
}

// redis is the client for a server of Redis, by its address. A password belongs into its REDISCLI_AUTH.
func (c *commands) redis(address string) string {
	cli := c.redisCLI
	if serviceOf(address) != "redis" {
		cli = "redis-cli" // it is not the one that came with the server
	}
	if host, port, err := net.SplitHostPort(address); err == nil {
		return fmt.Sprintf("%s -h %s -p %s", cli, word(host, "HOST"), word(port, "PORT"))
	}
	return cli + " -s " + word(address, "SOCKET")
}
