package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"oauth2-server/store"
	"oauth2-server/store/migrations"
)

// A job is one run of a command that works on the store directly.
type job struct {
	config *Config
	db     database
	actor  store.Actor
	in     io.Reader
	output
}

// withStore makes a command of work: it opens the store, which must be there, and closes it afterwards.
func withStore(environ []string, work func(ctx context.Context, j *job, args []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		config, err := loadStoreConfig(environ)
		if err != nil {
			return configError(err)
		}
		db, err := openDatabase(config, false, nil)
		if err != nil {
			return err
		}
		defer db.Close()
		j := &job{config: config, db: db, actor: operator(), in: command.InOrStdin(), output: newOutput(command)}
		return advise(work(command.Context(), j, args))
	}
}

// operator is who runs the command line, as far as the system knows.
func operator() store.Actor {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return store.Actor{Kind: store.ActorCLI, ID: name, Address: host}
}

// advise adds what to do about a store that is not prepared. A history that migrate refuses says itself what is wrong.
func advise(err error) error {
	fault, ok := errors.AsType[*store.Fault](err)
	if _, refused := errors.AsType[migrations.Refusal](err); refused {
		return err
	}
	if ok && fault.Part == store.StepSchema && !strings.Contains(err.Error(), "oauth2-server migrate") {
		return fmt.Errorf("%w: run \"oauth2-server migrate\"", err)
	}
	return err
}

// needSecrets makes sure of the secrets that open the ring: those of
// OAUTH2_JWT_SECRET, or the one that the embedded default has made.
func (j *job) needSecrets() error {
	if j.config.JWTSecret != "" {
		return nil
	}
	if j.config.postgres() {
		return configError(errors.New("OAUTH2_JWT_SECRET is not set: this command needs the one that the server has"))
	}
	err := j.config.readSecretFile()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s yet: \"oauth2-server serve\" makes it at its first start", j.config.secretFile())
	}
	return err
}

// confirm asks before what cannot be taken back, unless the answer was given as --yes.
func (j *job) confirm(yes bool, question string, w io.Writer) error {
	if yes {
		return nil
	}
	fmt.Fprintf(w, "%s Type yes to go on: ", question)
	answer, err := bufio.NewReader(j.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was done: not confirmed (--yes confirms beforehand)")
	}
	return nil
}

// maxInput bounds what is read from standard input: a token or a secret.
const maxInput = 64 << 10

// readInput is the value itself, or for "-" what standard input holds, without space around it.
func readInput(value string, in io.Reader) (string, error) {
	if value != "-" {
		return value, nil
	}
	text, err := io.ReadAll(io.LimitReader(in, maxInput))
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// cutoff is the cut-off that was just made by another change, to tell its number.
func (j *job) cutoff(ctx context.Context, kind store.CutoffKind, name string) (store.Cutoff, error) {
	all, err := j.db.Cutoffs(ctx)
	if err != nil {
		return store.Cutoff{}, err
	}
	for _, cut := range all {
		if cut.Kind == kind && cut.Name == name {
			return cut, nil
		}
	}
	return store.Cutoff{}, fmt.Errorf("find cut-off of %s %q: %w", kind, name, store.ErrNotFound)
}
