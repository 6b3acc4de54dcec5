package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command ends with 2 at a flag or arguments that it does not take, and touches nothing: there is no database here.
func TestMisuseEndsWithStatus2(t *testing.T) {
	c := &console{t: t, env: []string{"OAUTH2_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "none.db")}}
	f := func(want int, args ...string) {
		t.Helper()
		if status, out, errOut := c.run("", args...); status != want || out != "" || errOut == "" {
			t.Errorf("%v: got status %d, %q and %q, want %d and a word", args, status, out, errOut, want)
		}
	}
	var each func(command *cobra.Command)
	each = func(command *cobra.Command) {
		path := strings.Fields(command.CommandPath())[1:]
		f(2, append(path, "--jsn")...)
		f(2, append(path, "a", "b", "c", "d", "e")...)
		for _, below := range command.Commands() {
			each(below)
		}
	}
	each(newRootCommand(nil))
	f(2, "nothing")
	f(2, "client", "nothing")
	f(2, "client", "show")
	f(2, "revoke")
	f(2, "revoke", "--client", "x", "--all")
	f(2, "client", "create", "--public", "--auth-method", "none")
	f(1, "client", "show", "x") // taken, and failed
	f(1, "revoke", "--client", "x")
}
