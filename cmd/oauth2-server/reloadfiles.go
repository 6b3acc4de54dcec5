package main

import (
	"crypto/sha256"
	"os"
	"reflect"
	"slices"
	"strings"
)

// files are those that an environment names, by the variable whose value they hold or are.
type files struct {
	environ []string
	paths   map[string]string
}

// digests are what files hold, by variable; zero: the file cannot be read.
type digests map[string][sha256.Size]byte

// readPipes reads what NAME_FILE names and can be read but once, a pipe say, and gives NAME its value instead. What is wrong with one is
// left for whoever reads the configuration to tell.
func readPipes(environ []string) []string {
	given, known := map[string]bool{}, variableNames()
	for _, line := range environ {
		if name, value, _ := strings.Cut(line, "="); value != "" {
			given[name] = true
		}
	}
	plain := slices.Clone(environ)
	for i, line := range plain {
		file, path, _ := strings.Cut(line, "=")
		name, isFile := strings.CutSuffix(file, "_FILE")
		if !isFile || !isPipe(path) || given[name] || slices.Contains(known, file) || !slices.Contains(known, name) {
			continue
		}
		if value, err := readValue(path); err == nil {
			plain[i] = name + "=" + value
		}
	}
	return plain
}

// isPipe reports whether something that is no regular file is there.
func isPipe(path string) bool {
	about, err := os.Stat(path)
	return err == nil && !about.Mode().IsRegular()
}

// namedFiles finds NAME_FILE of each variable NAME, and the variables that name a file themselves. Only regular files are looked at again.
func namedFiles(environ []string) files {
	f, known := files{environ, map[string]string{}}, variableNames()
	for _, line := range environ {
		name, path, _ := strings.Cut(line, "=")
		if path == "" || !strings.HasSuffix(name, "_FILE") || isPipe(path) {
			continue
		}
		plain := strings.TrimSuffix(name, "_FILE")
		switch {
		case slices.Contains(known, name):
			f.paths[name] = path
		case slices.Contains(known, plain):
			f.paths[plain] = path
		}
	}
	return f
}

// digests reads all of the files. A line end that an editor adds is no change: see readValue.
func (f files) digests() digests {
	all := digests{}
	for name, path := range f.paths {
		all[name] = [sha256.Size]byte{}
		if isPipe(path) { // by now: reading it could last for ever
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		all[name] = sha256.Sum256([]byte(strings.TrimRight(string(content), "\r\n")))
	}
	return all
}

// differ names what is not the same as in other, in order.
func (d digests) differ(other digests) []string {
	var names []string
	for name, digest := range d {
		if digest != other[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// with is a copy of c whose variables of these names are those of fresh.
func (c *Config) with(fresh *Config, names []string) *Config {
	merged := *c
	from, to := reflect.ValueOf(fresh).Elem(), reflect.ValueOf(&merged).Elem()
	for field := range reflect.TypeFor[Config]().Fields() {
		if slices.Contains(names, field.Tag.Get("env")) {
			to.FieldByIndex(field.Index).Set(from.FieldByIndex(field.Index))
		}
	}
	return &merged
}
