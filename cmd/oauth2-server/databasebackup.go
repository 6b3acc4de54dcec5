package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
)

// A backupStore can copy itself while it is in use: the embedded one.
type backupStore interface {
	Backup(ctx context.Context, file string) error
}

func newDatabaseBackup(environ []string) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy an embedded database to a file, while it is in use",
		Long: "Copy an embedded database to a file, which must not be there, while it is in use. The copy is worth nothing without the\n" +
			"secret of the key ring (the file NAME.db.secret, or OAUTH2_JWT_SECRET): keep both, apart from each other.\n" +
			"To restore it: stop the server, put the copy in the database's place, without files NAME.db-wal and NAME.db-shm beside it, and\n" +
			"run \"oauth2-server database restored\". For Postgres there is deploy/backup/dump.sh.",
		Args: cobra.ExactArgs(1),
		RunE: withStore(environ, func(ctx context.Context, j *job, args []string) error { return backup(ctx, j, args[0]) }),
	}
}

// backup makes a file that is whole once it has its name, for its owner only.
func backup(ctx context.Context, j *job, file string) error {
	db, ok := j.db.(backupStore)
	if !ok {
		return errors.New("this is for an embedded database: back up Postgres with deploy/backup/dump.sh")
	}
	part := file + ".part"
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: name another file", file)
	}
	empty, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // SQLite fills an empty file, and keeps its mode
	if err != nil {
		return fmt.Errorf("make the copy: %w", err)
	}
	defer os.Remove(part)
	if err := errors.Join(empty.Close(), db.Backup(ctx, part)); err != nil {
		return fmt.Errorf("make the copy: %w", err)
	}
	if err := errors.Join(syncFile(part), os.Rename(part, file)); err != nil {
		return fmt.Errorf("keep the copy: %w", err)
	}
	return j.show(map[string]string{"file": file}, func() string { return file + " is a copy of " + j.config.fileName + "." })
}

func syncFile(name string) error {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
