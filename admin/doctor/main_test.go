package doctor

import (
	"os"
	"testing"

	"oauth2-server/deploy/private"
)

func TestMain(m *testing.M) { os.Exit(private.Main(m)) }
