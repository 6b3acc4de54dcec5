package main

import (
	"os"
	"testing"

	"oauth2-server/deploy/private"
)

// asServer in the environment makes the test binary the server: replicas under test are processes of their own, to be killed.
const asServer = "OAUTH2_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		os.Unsetenv(asServer)
		main()
		os.Exit(0)
	}
	os.Exit(private.Main(m))
}
