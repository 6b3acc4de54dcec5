package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// There is no cluster here, and no Docker: lines for them are checked by the words they have.

// deployed is what can be named: objects as "kind/name", ports of Services, services of Compose.
type deployed struct{ objects, ports, services []string }

// made are objects that people make, by lines of the README.
var made = []string{"secret/oauth2-server-secret"}

func readDeployed(t *testing.T) (d deployed) {
	t.Helper()
	object := regexp.MustCompile(`(?m)^kind: (\w+)\nmetadata:\n  name: (\S+)$`)
	port := regexp.MustCompile(`- \{name: \w+, port: (\d+),`)
	folder := os.DirFS("../../deploy")
	for _, pattern := range []string{"kustomize/base/*.yaml", "kustomize/components/bundled/*.yaml"} {
		files, _ := fs.Glob(folder, pattern) // the pattern is well-formed
		for _, file := range files {
			text := readText(t, folder, file)
			for _, found := range object.FindAllStringSubmatch(text, -1) {
				d.objects = append(d.objects, strings.ToLower(found[1])+"/"+found[2])
			}
			for _, found := range port.FindAllStringSubmatch(text, -1) {
				d.ports = append(d.ports, found[1])
			}
		}
	}
	_, compose, _ := strings.Cut(readText(t, folder, "compose.yaml"), "\nservices:\n")
	compose, _, _ = strings.Cut(compose, "\nnetworks:\n")
	for _, found := range regexp.MustCompile(`(?m)^  ([a-z0-9-]+):`).FindAllStringSubmatch(compose, -1) {
		d.services = append(d.services, found[1])
	}
	if d.objects = append(d.objects, made...); len(d.objects) < 10 || len(d.ports) < 2 || len(d.services) < 4 {
		t.Fatalf("got %+v: the test looks at nothing", d)
	}
	return d
}

func readText(t *testing.T, folder fs.FS, file string) string {
	t.Helper()
	text, err := fs.ReadFile(folder, filepath.ToSlash(file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	// kubectlWords are what the pages need of kubectl: verbs, and kinds without a name.
	kubectlWords = strings.Fields("get describe logs rollout history undo status restart scale exec top port-forward delete pod pods endpoints deployment hpa job service secret")
	composeWords = strings.Fields("ps logs up exec down")
	portPair     = regexp.MustCompile(`^\d+:(\d+)$`)
	assignment   = regexp.MustCompile(`^[A-Z0-9_]+=\S* `)
)

func TestLinesForAClusterNameWhatIsDeployed(t *testing.T) {
	d := readDeployed(t)
	onPages(t, func(t *testing.T, g *guidebook) {
		for _, line := range g.commands() {
			for _, word := range d.unknown(line) {
				t.Errorf("%q: nothing that is deployed is meant by %q", line, word)
			}
		}
	})
}

// unknown is the words of a line that name nothing.
func (d deployed) unknown(line string) []string {
	line, _, _ = strings.Cut(line, " #")
	line, _, _ = strings.Cut(line, " -- ") // what is run within a container
	line, _, _ = strings.Cut(line, " /")
	line = assignment.ReplaceAllString(line, "")
	if words, is := strings.CutPrefix(line, "docker compose "); is {
		return misfits(words, func(word string) bool {
			return slices.Contains(composeWords, word) || slices.Contains(d.services, word)
		})
	}
	words, is := strings.CutPrefix(line, "kubectl ")
	if !is {
		return nil
	}
	bare := strings.ReplaceAll(strings.ReplaceAll(words+" ", " -n oauth2-server ", " "), " -l app=oauth2-server ", " ")
	if bare == words+" " {
		return []string{"no namespace"}
	}
	return misfits(bare, d.inCluster)
}

// misfits are the words but flags that do not fit.
func misfits(words string, fits func(word string) bool) []string {
	return slices.DeleteFunc(strings.Fields(words), func(word string) bool {
		return strings.HasPrefix(word, "-") && word != "-n" && word != "-l" || fits(word)
	})
}

// inCluster: a verb, kinds, kind/name, a name alone, the first pod of a StatefulSet, or a port of a Service.
func (d deployed) inCluster(word string) bool {
	if port := portPair.FindStringSubmatch(word); port != nil {
		return slices.Contains(d.ports, port[1])
	}
	if strings.Contains(word, "/") {
		return slices.Contains(d.objects, word)
	}
	for part := range strings.SplitSeq(word, ",") {
		pod, isFirst := strings.CutSuffix(part, "-0")
		known := slices.Contains(kubectlWords, part) || isFirst && slices.Contains(d.objects, "statefulset/"+pod) ||
			slices.ContainsFunc(d.objects, func(object string) bool { return strings.HasSuffix(object, "/"+part) })
		if !known {
			return false
		}
	}
	return true
}

// The check finds what it is for.
func TestMistakesInLinesForAClusterAreFound(t *testing.T) {
	d := readDeployed(t)
	for line, word := range map[string]string{
		"kubectl get pods":           "no namespace",
		"kubectl get pods -n oauth2": "no namespace",

		"kubectl rollout undo deployment/oauth2 -n oauth2-server":                 "deployment/oauth2",
		"kubectl logs postgres-1 -n oauth2-server":                                "postgres-1",
		"kubectl logs -n oauth2-server -l app=oauth2 --tail=1":                    "-l",
		"kubectl port-forward -n oauth2-server service/oauth2-server-admin 81:82": "81:82",
		"docker compose logs --tail=100 oauth2":                                   "oauth2",
	} {
		if got := d.unknown(line); !slices.Contains(got, word) {
			t.Errorf("%s: got %v, want %q among them", line, got, word)
		}
	}
}
