package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// execute runs the command line and returns its exit status.
func execute(ctx context.Context, root *cobra.Command) int {
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errInactive) && !errors.Is(err, errFindings) { // which the command has told
		fmt.Fprintln(root.ErrOrStderr(), "oauth2-server:", err)
	}
	return exitStatus(err)
}

// newRootCommand is the command line. environ is the environment, as "NAME=value".
func newRootCommand(environ []string) *cobra.Command {
	root := newGroup("oauth2-server", "A high-throughput OAuth 2 token server",
		newServeCommand(environ), newMigrateCommand(environ), newClientCommand(environ), newUserCommand(environ), newGrantsCommand(environ), newTokenCommand(environ),
		newRevokeCommand(environ), newLimitsCommand(environ), newRetentionCommand(environ), newDatabaseCommand(environ), newKeysCommand(environ), newReplicasCommand(environ), newDoctorCommand(environ), newConfigCommand(environ), newProbeCommand(environ),
		newVersionCommand(), newBenchCommand(), newBenchFloorCommand(), newSeedTokensCommand(environ))
	root.SilenceUsage, root.SilenceErrors = true, true
	root.Version = version()
	root.PersistentFlags().Bool("json", false, "print JSON")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return misused(err) })
	markMisuse(root)
	root.Long = root.Short + ".\n\nThe exit status is 0 when it is done, 1 when it failed, and 2 when the configuration is refused, or there is no such command,\n" +
		"flag or argument. Commands whose status says more tell so."
	return root
}

// markMisuse makes errors of arguments, and of flags that do not go together, of a command and those below it, a misuse.
func markMisuse(command *cobra.Command) {
	args := command.Args
	command.Args = func(command *cobra.Command, given []string) error { return misused(args(command, given)) }
	command.PreRunE = func(command *cobra.Command, _ []string) error { return misused(command.ValidateFlagGroups()) }
	for _, below := range command.Commands() {
		markMisuse(below)
	}
}

func misused(err error) error {
	if err == nil {
		return nil
	}
	return &misuse{err}
}

// newGroup is a command that only holds others. An argument that is none of them is not repeated: it may be a
// token whose command was forgotten.
func newGroup(use, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use: use, Short: short,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("no such command; %q lists those there are", command.CommandPath()+" --help")
			}
			return nil
		},
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	group.AddCommand(commands...)
	return group
}

func newServeCommand(environ []string) *cobra.Command {
	demo := false
	command := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long:  "Run the server. Without any variable it keeps its data in ./oauth2.db and listens on 127.0.0.1:8080.",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			from := newSource(environ)
			config, err := loadConfig(from.files.environ)
			if err != nil {
				return configError(err)
			}
			from.level.Set(config.logLevel())
			h := hooks{log: newLog(from.level, command.ErrOrStderr()), out: command.OutOrStdout(), reload: from}
			if demo {
				h.started = func(r *running) error { return startDemo(command.Context(), r, command.OutOrStdout()) }
			}
			return run(command.Context(), config, h)
		},
	}
	command.Flags().BoolVar(&demo, "demo", false, "create demo clients and a demo user at first start, and print how to use them")
	return command
}

// newLog writes JSON lines.
func newLog(level slog.Leveler, w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

func (c *Config) logLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return slog.LevelInfo // loadConfig has refused it
	}
	return level
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			build := readBuild()
			return newOutput(command).show(build, func() string {
				return fmt.Sprintf("oauth2-server %s (%s, %s)", build.Version, build.Revision, build.Go)
			})
		},
	}
}

// build is what the binary knows of its making.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
}

// readBuild reads the build information that the Go tool writes into every binary.
func readBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build{Version: "unknown", Revision: "unknown"}
	}
	b := build{Version: info.Main.Version, Go: info.GoVersion}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			b.Revision = setting.Value
		}
	}
	b.Revision = cmp.Or(b.Revision, "no revision")
	return b
}

func version() string { return readBuild().Version }

var (
	// errConfig marks faults of the configuration.
	errConfig = errors.New("the configuration is refused")
	// errMisuse marks command lines that no command takes.
	errMisuse = errors.New("the command line is refused")
	// errInactive is the outcome of explaining a token that is not active.
	errInactive = errors.New("the token is not active")
)

// A misuse is an error that is errMisuse and says no more than itself.
type misuse struct{ error }

func (m *misuse) Is(target error) bool { return target == errMisuse }
func (m *misuse) Unwrap() error        { return m.error }

func configError(err error) error { return fmt.Errorf("%w:\n%w", errConfig, err) }

// exitStatus: 0 done, 1 failed, or the doctor found something, 2 the configuration or the command line is refused, a benchmark has no verdict, or the doctor could not look, 3 the explained token is not active.
func exitStatus(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errConfig), errors.Is(err, errMisuse), errors.Is(err, errNoVerdict), errors.Is(err, errUnseen):
		return 2
	case errors.Is(err, errInactive):
		return 3
	}
	return 1
}
