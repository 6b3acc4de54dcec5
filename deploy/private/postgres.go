package private

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Postgres is a private Postgres server on a free port of 127.0.0.1. Its
// superuser "postgres" needs no password. It is as durable as Postgres
// is by default: fsync and synchronous_commit are on.
type Postgres struct {
	server
	port      int
	data      string
	databases atomic.Int64 // made by NewDatabase
	limited   []string     // what FillDisk put before the command
}

// StartPostgres makes a new cluster and starts it, within a second or two. It
// lives in a new folder below dir; "" is the system's folder for
// temporary files. Settings are like "fsync=off". When we are root, which
// Postgres refuses, it runs as the user postgres, else nobody; that user must be able to pass dir.
func StartPostgres(dir string, settings ...string) (*Postgres, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	as, err := postgresUser()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if dir, err = newFolder(dir, "postgres"); err != nil {
		return nil, err
	}
	p := &Postgres{port: port, data: filepath.Join(dir, "data")}
	p.server = server{name: "postgres", dir: dir, as: as, answers: p.answers, sweep: p.sweep}
	p.command = p.commandLine(bin, settings)
	if err := p.create(bin); err != nil {
		p.Close()
		return nil, err
	}
	if err := p.launch(); err != nil {
		return nil, err
	}
	return p, nil
}

// URL is where a database of the server is.
func (p *Postgres) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", p.port, database)
}

// NewDatabase creates an empty database of a name not used before.
func (p *Postgres) NewDatabase() (url string, err error) {
	name, err := p.newDatabase()
	if err != nil {
		return "", err
	}
	return p.URL(name), nil
}

func (p *Postgres) newDatabase() (name string, err error) {
	name = fmt.Sprintf("private_%d", p.databases.Add(1))
	if err := p.exec("create database " + name); err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	return name, nil
}

// Backup copies the data of a killed server, in the place of an earlier copy.
func (p *Postgres) Backup() error { return p.copyData(p.data, p.data+".backup") }

// Revert puts the data back as it was at Backup: a restore to an older state. The server must have been killed.
func (p *Postgres) Revert() error { return p.copyData(p.data+".backup", p.data) }

func (p *Postgres) copyData(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("copy data: %w", err)
	}
	if output, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil { // with owners and modes
		return fmt.Errorf("copy data: %w: %s", err, output)
	}
	return nil
}

// Show is the value of a setting, as "show NAME" prints it; "server_version" is one of them.
func (p *Postgres) Show(ctx context.Context, setting string) (value string, err error) {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, "select current_setting($1)", setting).Scan(&value)
	return value, err
}

// exec runs one statement in the database "postgres".
func (p *Postgres) exec(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// create makes the cluster.
func (p *Postgres) create(bin string) error {
	if p.as != nil {
		if err := os.Chown(p.dir, int(p.as.Uid), int(p.as.Gid)); err != nil {
			return fmt.Errorf("give folder to postgres: %w", err)
		}
	}
	cmd := command(p.dir, p.as, filepath.Join(bin, "initdb"), "-D", p.data, "-U", "postgres",
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	ended, err := spawn(cmd)
	if err != nil {
		return fmt.Errorf("run initdb: %w", err)
	}
	<-ended
	if !cmd.ProcessState.Success() {
		return fmt.Errorf("run initdb: %s:\n%s", cmd.ProcessState, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}

// commandLine gives ours first, so that the caller's settings win.
func (p *Postgres) commandLine(bin string, settings []string) []string {
	line := []string{filepath.Join(bin, "postgres"), "-D", p.data, "-p", strconv.Itoa(p.port)}
	ours := []string{
		"listen_addresses=127.0.0.1",
		"unix_socket_directories=",
		"max_connections=200",
		"dynamic_shared_memory_type=mmap", // in the folder, removed with it
	}
	for _, setting := range slices.Concat(ours, settings) {
		line = append(line, "-c", setting)
	}
	return line
}

func (p *Postgres) answers(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var data string
	if err := conn.QueryRow(ctx, "show data_directory").Scan(&data); err != nil {
		return err
	}
	if data != p.data {
		return fmt.Errorf("port %d belongs to another server", p.port)
	}
	return nil
}

// sweep removes the lock file that a killed server leaves, for its pid may be
// another's by now, and the segment of shared memory the file names.
func (p *Postgres) sweep() {
	const shmLine = 6 // "key id", see CreateDataDirLockFile in Postgres' sources
	lock := filepath.Join(p.data, "postmaster.pid")
	text, err := os.ReadFile(lock)
	if err != nil {
		return // it was never written, or Postgres removed it
	}
	_ = os.Remove(lock) // Postgres names it if it is still in the way
	lines := bytes.Split(text, []byte("\n"))
	if len(lines) <= shmLine {
		return
	}
	var key, id uintptr
	if n, _ := fmt.Sscan(string(lines[shmLine]), &key, &id); n == 2 {
		const remove = 0 // IPC_RMID
		_, _, _ = syscall.Syscall(syscall.SYS_SHMCTL, id, remove, 0)
	}
}

// postgresBin finds the folder of Postgres' programs: in PATH, else the newest
// of Debian's.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	newest, bin := -1, ""
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well-formed
	for _, path := range paths {
		dir := filepath.Dir(path)
		if version, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && version > newest {
			newest, bin = version, dir
		}
	}
	if bin == "" {
		return "", errors.New("postgres is missing: install it, on Debian with: apt-get install postgresql")
	}
	return bin, nil
}

// postgresUser is whom Postgres runs as: nil, the user we are, unless that is root.
func postgresUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("find a user for postgres, which refuses root: %w", err)
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(errUID, errGID); err != nil {
		return nil, fmt.Errorf("find a user for postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
