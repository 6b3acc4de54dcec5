package main

import (
	"os"
	"strconv"

	"oauth2-server/store"
)

// ownPlatform is what runs this process.
func ownPlatform() string {
	return platformOf(os.Getenv, func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}, os.Getpid())
}

// platformOf judges by what each platform leaves in its processes. The files of a container stay behind in machines that are made of
// images, so deploy/compose.yaml sets a variable as well, which alone could be of a developer's shell. What a unit of systemd has started
// inherits its variables, shells among them: SYSTEMD_EXEC_PID, which systemd sets since version 248, says which process they are meant for.
func platformOf(env func(name string) string, exists func(path string) bool, pid int) string {
	started := env("SYSTEMD_EXEC_PID")
	switch {
	case env("KUBERNETES_SERVICE_HOST") != "":
		return store.PlatformKubernetes
	case env("COMPOSE_PROJECT_NAME") != "" && (exists("/.dockerenv") || exists("/run/.containerenv")):
		return store.PlatformCompose
	case env("INVOCATION_ID") != "" && (started == "" || started == strconv.Itoa(pid)):
		return store.PlatformSystemd
	}
	return store.PlatformProcess
}
