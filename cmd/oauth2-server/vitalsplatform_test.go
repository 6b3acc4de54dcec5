package main

import (
	"strings"
	"testing"
)

func TestPlatformOfAProcess(t *testing.T) {
	f := func(want, environ string, files ...string) {
		t.Helper()
		env := func(name string) string {
			for line := range strings.FieldsSeq(environ) {
				if value, is := strings.CutPrefix(line, name+"="); is {
					return value
				}
			}
			return ""
		}
		exists := func(path string) bool { return strings.Contains(strings.Join(files, " "), path) }
		if got := platformOf(env, exists, 42); got != want {
			t.Errorf("%q, %v: got %q, want %q", environ, files, got, want)
		}
	}
	f("process", "")
	f("kubernetes", "KUBERNETES_SERVICE_HOST=10.0.0.1", "/.dockerenv")
	f("kubernetes", "KUBERNETES_SERVICE_HOST=10.0.0.1 INVOCATION_ID=ab")
	f("kubernetes", "KUBERNETES_SERVICE_HOST=10.0.0.1 COMPOSE_PROJECT_NAME=a", "/.dockerenv")
	f("compose", "COMPOSE_PROJECT_NAME=a", "/.dockerenv")
	f("compose", "COMPOSE_PROJECT_NAME=a INVOCATION_ID=ab", "/run/.containerenv")
	f("process", "COMPOSE_PROJECT_NAME=a") // a developer's shell
	f("process", "", "/.dockerenv")        // another sort of container, or a machine made of an image
	f("systemd", "INVOCATION_ID=ab", "/.dockerenv")
	f("systemd", "INVOCATION_ID=ab")
	f("systemd", "INVOCATION_ID=ab SYSTEMD_EXEC_PID=42")
	f("process", "INVOCATION_ID=ab SYSTEMD_EXEC_PID=7") // a shell below a unit
}
