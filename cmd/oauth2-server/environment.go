package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

const ours = "OAUTH2_"

// resolve is the OAUTH2_ variables of the environment that have a value, each NAME_FILE replaced by NAME with
// what the file holds. paths are those files, by NAME.
func resolve(environ []string) (given, paths map[string]string, faults []*fault) {
	given, paths = map[string]string{}, map[string]string{}
	for _, line := range environ {
		// An empty value is none: that is how compose files pass on what is not set.
		if name, value, _ := strings.Cut(line, "="); strings.HasPrefix(name, ours) && value != "" {
			given[name] = value
		}
	}
	known := variableNames()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		plain, isFile := strings.CutSuffix(name, "_FILE")
		if !isFile || slices.Contains(known, name) || !slices.Contains(known, plain) {
			continue
		}
		path := given[name]
		content, err := readValue(path)
		delete(given, name)
		if _, both := given[plain]; both {
			err = fmt.Errorf("is set beside %s: give one of them", plain)
		}
		if err != nil {
			faults = append(faults, &fault{plain, fmt.Sprintf("%s %v", name, err)})
			continue
		}
		given[plain], paths[plain] = content, path
	}
	return given, paths, faults
}

// readValue is what the file of a NAME_FILE holds, without the line end that editors add.
func readValue(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err, ok := errors.AsType[*fs.PathError](err); ok {
		return "", fmt.Errorf("names no file that can be read: %s: %w", shownPath(path), err.Err)
	}
	if err != nil {
		return "", err
	}
	value := strings.TrimRight(string(content), "\r\n")
	if value == "" {
		return "", fmt.Errorf("names an empty file: %s", shownPath(path))
	}
	return value, nil
}

// shownPath is a path for an error. What lies in no folder that there is is not shown: it may be the secret itself, in the wrong variable.
func shownPath(path string) string {
	if folder, _, nested := strings.Cut(strings.TrimPrefix(path, "/"), "/"); nested { // the outermost: of the others one may be misspelt
		if strings.HasPrefix(path, "/") {
			folder = "/" + folder
		}
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			return path
		}
	}
	return "its value is not shown, as it lies in no folder that there is, and may be a secret"
}

// parseFault says which variable could not be read as its type.
func parseFault(err error, given map[string]string) *fault {
	parse, ok := errors.AsType[env.ParseError](err)
	if !ok {
		return &fault{text: err.Error()}
	}
	field, _ := reflect.TypeFor[Config]().FieldByName(parse.Name)
	name := field.Tag.Get("env")
	if strings.HasPrefix(given[name], "tcp://") {
		return &fault{name, name + " was set by Kubernetes for a Service called oauth2-server, and is no port: " +
			"set enableServiceLinks: false in the pod, or give the port explicitly"}
	}
	kind := "a whole number"
	switch {
	case field.Type == reflect.TypeFor[capacity]():
		kind = "bytes with a unit, like 500MiB or 100GiB"
	case field.Type.Kind() == reflect.Int64:
		kind = "a time with its unit, like 30s, 5m or 1h"
	}
	return &fault{name, name + " must be " + kind}
}

// A variable is one that the server reads.
type variable struct {
	Name    string `json:"name"`
	Default string `json:"default,omitempty"`
	Doc     string `json:"doc"`
}

// variables is all of them, in the order of Config.
func variables() []variable {
	var all []variable
	for field := range reflect.TypeFor[Config]().Fields() {
		if name := field.Tag.Get("env"); name != "" {
			all = append(all, variable{name, field.Tag.Get("envDefault"), field.Tag.Get("doc")})
		}
	}
	return all
}

func variableNames() []string {
	var names []string
	for _, v := range variables() {
		names = append(names, v.Name)
	}
	return names
}

// markdown is the README's table of variables.
func markdown(all []variable) string {
	var b strings.Builder
	b.WriteString("| Variable | Default | Meaning |\n|---|---|---|\n")
	for _, v := range all {
		value := ""
		if v.Default != "" {
			value = "`" + v.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, value, strings.ReplaceAll(v.Doc, "|", `\|`))
	}
	return b.String()
}

// foreign are the variables of the runbook that this version has no use for yet, and those that
// Kubernetes sets for a Service called oauth2-server.
var foreign = []string{
	"OAUTH2_EVENTS_", "OAUTH2_SERVER_SERVICE_", "OAUTH2_SERVER_PORT_",
}

// unknownVariables are those that nothing reads: most often a typing error.
func unknownVariables(given []string) []string {
	known := variableNames()
	var unknown []string
	for _, name := range given {
		isForeign := slices.ContainsFunc(foreign, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if !slices.Contains(known, name) && !isForeign {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// nearest is the variable that was most likely meant.
func nearest(name string) string {
	return slices.MinFunc(variableNames(), func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// distance is how many characters must be added, removed or replaced to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
