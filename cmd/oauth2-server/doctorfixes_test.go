package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// ourCommand is one of this program within a text, to where prose goes on.
var ourCommand = regexp.MustCompile(`(?:^|; |: |, or |and |-- /)oauth2-server ([a-z][^;,:(]*)`)

// The findings tell to type nothing that this program does not understand.
func TestCommandsOfTheFixesAreThere(t *testing.T) {
	seen, filled := 0, strings.NewReplacer("N/PERIOD", "10/1m", "run X", "run tokens")
	for _, text := range textsOf(t, "../../admin/doctor/*.go") {
		for _, found := range ourCommand.FindAllStringSubmatch(text, -1) {
			seen++
			command, rest, err := newRootCommand(nil).Find(strings.Fields(filled.Replace(found[1])))
			if err == nil {
				err = accepts(command, rest)
			}
			if err != nil || !command.Runnable() {
				t.Errorf("%q: %v", found[0], err)
			}
		}
	}
	if seen < 30 {
		t.Errorf("got %d commands, want those of all fixes", seen)
	}
}

// textsOf is all texts of the sources. What is put in between is X.
func textsOf(t *testing.T, pattern string) (all []string) {
	t.Helper()
	paths, _ := filepath.Glob(pattern) // the pattern is well-formed
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			expression, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, is := textOf(expression)
			if is {
				all = append(all, text)
			}
			return !is
		})
	}
	return all
}

// textOf is that of a literal, or of a sum with one.
func textOf(e ast.Expr) (text string, is bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, isLeft := textOf(e.X)
		right, isRight := textOf(e.Y)
		return left + right, e.Op == token.ADD && (isLeft || isRight)
	}
	return "X", false
}
