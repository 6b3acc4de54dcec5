// Command imports fails when a package of this module imports what it must not
// know. An import of our own points to the right, or stays inside its folder:
//
//	cmd ──► admin ──► hotpath ──► cache ──► store
//
// Beside that, bench and deploy hold no server code and import none.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

const module = "oauth2-server"

// reach lists the top-level folders each top-level folder may import, itself apart.
var reach = map[string][]string{
	"cmd":     {"admin", "hotpath", "cache", "store", "bench", "deploy"},
	"admin":   {"hotpath", "cache", "store"},
	"hotpath": {"cache", "store"},
	"cache":   {"store"},
	"store":   {},
	"bench":   {"deploy"},
	"deploy":  {},
	"scripts": {},
}

// What a package may be forbidden to know.
var (
	fasthttp = []string{"github.com/valyala/fasthttp"}
	http     = []string{"net/http", "github.com/valyala/fasthttp"}
	redis    = []string{"github.com/redis", "github.com/go-redis"}
	sql      = []string{
		"database/sql", "github.com/jackc", "modernc.org/sqlite",
		module + "/store/postgres", module + "/store/sqlite",
	}
)

// A rule forbids imports to a package and, if it ends in "/...", those below it.
type rule struct {
	packages string
	not      []string
}

var rules = []rule{
	{"store/...", slices.Concat(http, redis)},
	{"cache/...", http},
	{"hotpath/...", sql},
	{"hotpath/token/...", slices.Concat(http, redis)},
	{"hotpath/keys/...", slices.Concat(http, redis)},
	{"hotpath/oauth/...", slices.Concat(http, redis)},
	{"hotpath/login/...", fasthttp},
	{"hotpath/pages/...", slices.Concat(http, redis)},
	{"admin/...", fasthttp},
	{"bench/...", slices.Concat(redis, sql)},
}

// A pkg is what "go list -json" tells about a package.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func main() {
	pkgs, err := list()
	if err != nil {
		fmt.Fprintln(os.Stderr, "imports:", err)
		os.Exit(1)
	}
	faults := 0
	for _, p := range pkgs {
		for _, fault := range check(p) {
			fmt.Println(fault)
			faults++
		}
	}
	if faults > 0 {
		os.Exit(1)
	}
}

// list asks go for all packages of the module.
func list() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	var pkgs []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the list of packages: %w", err)
		}
		pkgs = append(pkgs, p)
	}
}

// check lists what p imports and must not. Tests keep the direction too, but
// may use deploy, and any module of others.
func check(p pkg) []string {
	name := strings.TrimPrefix(p.ImportPath, module+"/")
	var faults []string
	for _, path := range p.Imports {
		if why := refuse(name, path); why != "" {
			faults = append(faults, fmt.Sprintf("%s imports %s: %s", name, path, why))
		}
	}
	for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
		if why := direction(name, path); why != "" && top(ours(path)) != "deploy" {
			faults = append(faults, fmt.Sprintf("%s imports %s in a test: %s", name, path, why))
		}
	}
	return faults
}

// refuse says why the package must not import path, or nothing.
func refuse(name, path string) string {
	if why := direction(name, path); why != "" {
		return why
	}
	if name == "store" && strings.Contains(path, ".") {
		return "store imports the standard library only"
	}
	if name != "hotpath" && top(name) != "bench" && within(path, fasthttp) {
		return "only the public listener, hotpath itself, and the clients of bench import fasthttp"
	}
	for _, r := range rules {
		if r.covers(name) && within(path, r.not) {
			return r.packages + " must not know it"
		}
	}
	return ""
}

// direction says why path, if it is ours, does not lie to the right.
func direction(name, path string) string {
	from, to := top(name), top(ours(path))
	allowed, known := reach[from]
	switch {
	case !known:
		return "no rule for the folder " + from
	case to == "" || to == from || slices.Contains(allowed, to):
		return ""
	}
	return "imports point cmd → admin → hotpath → cache → store"
}

func (r rule) covers(name string) bool {
	root, below := strings.CutSuffix(r.packages, "/...")
	return name == root || below && strings.HasPrefix(name, root+"/")
}

// within reports whether path is one of the roots or lies below one.
func within(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return path == root || strings.HasPrefix(path, root+"/")
	})
}

// ours is the path within this module, or nothing if it is another's.
func ours(path string) string {
	name, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	return name
}

func top(name string) string {
	folder, _, _ := strings.Cut(name, "/")
	return folder
}
