package main

import (
	"os"
	"strings"
	"testing"

	"oauth2-server/deploy/private"
)

// asServer in the environment makes the test binary the server: replicas under test are processes of their own, to be killed.
const asServer = "OAUTH2_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	// With a command it is the server too: the bench suite starts its own program.
	command := len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-")
	if os.Getenv(asServer) != "" || command {
		os.Unsetenv(asServer)
		main()
		os.Exit(0)
	}
	// Under the race detector each process would sleep for a second before its exit.
	os.Setenv("GORACE", "atexit_sleep_ms=20 "+os.Getenv("GORACE"))
	os.Exit(private.Main(m))
}
