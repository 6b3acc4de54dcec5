package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"oauth2-server/deploy/private"
)

const mebibyte = 1 << 20

// A full disk under Postgres loses nothing that was acknowledged: issuing is refused while it lasts, look-ups go on, and issuing is back within
// seconds of the space. No table can grow here, by a limit that the processes are started with.
func TestFullDiskUnderPostgresLosesNothing(t *testing.T) {
	c := newOwnCluster(t, 2)
	as := c.newClient("app")
	conn := connect(t, c.postgres.URL("private_1"))
	// More than a segment of the log, 16 MiB, which has to be writable all the time. Tokens are of today or, near midnight, of tomorrow.
	for _, day := range []int{0, 1} {
		runSQL(t, conn, fmt.Sprintf(`insert into tokens select gen_random_uuid(), date_trunc('day', now() at time zone 'utc') at time zone 'utc' + interval '%d days 23 hours 59 minutes',
			decode(repeat('00', 400), 'hex') from generate_series(1, 50000)`, day))
	}
	runSQL(t, conn, "checkpoint")
	suffer(t, c, as, c.postgres.FillDisk, func() error {
		for _, r := range c.replicas {
			r.awaitReady() // all but writing goes on
			if a := r.issue(as); a.status != http.StatusServiceUnavailable {
				t.Errorf("a replica that is ready issues on a full disk: %s", a)
			}
		}
		return c.postgres.FreeDisk()
	})
}

// suffer runs traffic while the disk is full.
func suffer(t *testing.T, c *cluster, as identity, fill, free func() error) {
	t.Helper()
	w := &witness{t: t}
	stop := w.mix(c, as)
	defer stop()
	w.awaitGood(c.replicas[0], 200)
	held := c.replicas[0].mustIssue(as)
	if err := fill(); err != nil {
		t.Fatal(err)
	}
	c.replicas[0].await("refuse to issue", func() bool {
		_, before := w.counts()
		a := c.replicas[0].issue(as)
		return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "" && before > 10
	})
	stop() // what was refused stays refused: nobody else makes room
	for i, r := range c.replicas {
		if a := r.issue(as); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.field("error") != "temporarily_unavailable" {
			t.Errorf("replica %d issues on a full disk: %s", i, a)
		}
		if !r.isActive(as, held) {
			t.Errorf("replica %d: a look-up fails on a full disk", i)
		}
	}
	if err := free(); err != nil {
		t.Fatal(err)
	}
	for _, r := range c.replicas {
		r.await("issue again", func() bool { return r.issue(as).status == http.StatusOK })
		r.awaitReady()
	}
	flush(t, c)
	w.verify(c, as)
}

// smallDisk is a file system of its own, of so many bytes; ok is false where this process may not mount one.
func smallDisk(t *testing.T, bytes int) (dir string, ok bool) {
	t.Helper()
	dir, err := os.MkdirTemp("", "small-disk-") //nolint:usetesting // Postgres' user may not pass a folder of the test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	err = unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0755", bytes))
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return dir, false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, true
}

// ballast fills what is left of a disk; taking it away is free.
func ballast(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for chunk := make([]byte, 64<<10); len(chunk) > 0; {
		if _, err := file.Write(chunk); errors.Is(err, unix.ENOSPC) {
			chunk = chunk[:len(chunk)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() { _ = os.Remove(name) } // it may be gone already
}

// The whole disk is full, the log's part of it too: Postgres may give up altogether, and whoever keeps it running starts it again.
func TestNoSpaceLeftForPostgresLosesNothing(t *testing.T) {
	disk, ok := smallDisk(t, 192*mebibyte)
	if !ok {
		t.Log("this process may not mount a small disk: TestFullDiskUnderPostgresLosesNothing has to do")
		return
	}
	pg, err := private.StartPostgres(disk, "max_wal_size=64MB", "min_wal_size=32MB")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pg.Close)
	database, err := pg.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, 2, database, pg)
	as := c.newClient("app")
	var release func()
	suffer(t, c, as, func() error { release = ballast(t, disk); return nil }, func() error { release(); return pg.Restart() })
}

// The embedded store on a full disk: the same.
func TestFullDiskUnderSQLiteLosesNothing(t *testing.T) {
	disk, ok := smallDisk(t, 8*mebibyte)
	if !ok {
		t.Log("this process may not mount a small disk: store/sqlite has the like")
		return
	}
	console := &console{t: t, env: append([]string{"OAUTH2_DATABASE_URL=sqlite:" + filepath.Join(disk, "oauth2.db"), "OAUTH2_SERVER_PORT=0"}, testEnv...)}
	console.must("migrate")
	c := &cluster{t: t, env: console.env, db: console.open()}
	c.replicas = []*replica{startReplica(t, c.env)}
	c.replicas[0].awaitReady()
	as := c.newClient("app")
	r, w := c.replicas[0], &witness{t: t}
	for range 20 {
		w.issue(r, as)
	}
	free := ballast(t, disk)
	defer free()
	r.await("refuse to issue", func() bool { _, ok := w.issue(r, as); return !ok })
	for _, token := range w.alive {
		w.introspect(r, as, token)
	}
	free()
	r.await("issue again", func() bool { _, ok := w.issue(r, as); return ok })
	r.kill() // what is in the file counts
	c.replicas[0] = startReplica(t, c.env)
	c.replicas[0].awaitReady()
	w.verify(c, as)
	if _, busy := w.counts(); busy == 0 {
		t.Error("nothing was refused")
	}
}
