package main

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func newConfigCommand(environ []string) *cobra.Command {
	return newGroup("config", "Look at the configuration",
		&cobra.Command{
			Use:   "check",
			Short: "Print the configuration in effect, and all that is wrong with it",
			Long: "Print the configuration in effect, secrets masked, and all that is wrong with it. The exit status is 2 when\n" +
				"serve would refuse it. Nothing is connected to.",
			Args: cobra.NoArgs,
			RunE: func(command *cobra.Command, _ []string) error { return checkConfig(environ, newOutput(command)) },
		},
		newVariablesCommand())
}

// newVariablesCommand is for who writes the README.
func newVariablesCommand() *cobra.Command {
	asMarkdown := false
	command := &cobra.Command{
		Use: "variables", Short: "List the variables", Args: cobra.NoArgs, Hidden: true,
		RunE: func(command *cobra.Command, _ []string) error {
			all := variables()
			return newOutput(command).show(all, func() string {
				if asMarkdown {
					return markdown(all)
				}
				var rows [][]string
				for _, v := range all {
					rows = append(rows, []string{v.Name, v.Default, v.Doc})
				}
				return list("", []string{"VARIABLE", "DEFAULT", "MEANING"}, rows)
			})
		},
	}
	command.Flags().BoolVar(&asMarkdown, "markdown", false, "print the README's table")
	return command
}

// A setting is a variable and its value in effect, as they may be shown.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Given bool   `json:"given"` // or the default
}

// unknownName is a variable that nothing reads.
type unknownName struct {
	Name    string `json:"name"`
	Nearest string `json:"nearest"`
}

func checkConfig(environ []string, out output) error {
	config, refused := loadConfig(environ)
	if refused == nil {
		_, refused = loadPair(config)
	}
	unknown := []unknownName{}
	for _, name := range config.unknown {
		unknown = append(unknown, unknownName{name, nearest(name)})
	}
	answer := map[string]any{"ok": refused == nil, "faults": lines(refused), "unknown": unknown, "settings": config.settings()}
	err := out.show(answer, func() string { return table(config.settingRows()) + warnings(unknown) + verdict(refused) })
	if refused != nil {
		return errors.Join(configError(refused), err)
	}
	return err
}

// verdict ends the table when there is nothing to complain of: silence could mean anything.
func verdict(refused error) string {
	if refused != nil {
		return ""
	}
	return "\n\nNothing is wrong. Nothing was connected to."
}

func lines(err error) []string {
	if err == nil {
		return []string{}
	}
	return strings.Split(err.Error(), "\n")
}

func (c *Config) settingRows() [][]string {
	rows := [][]string{{"VARIABLE", "VALUE", "FROM"}}
	for _, s := range c.settings() {
		from := "default"
		if s.Given {
			from = "environment"
		}
		if path, isFile := c.paths[s.Name]; isFile {
			from = "file " + path
		}
		rows = append(rows, []string{s.Name, cmp.Or(s.Value, "-"), from})
	}
	return rows
}

func warnings(unknown []unknownName) string {
	var b strings.Builder
	for _, u := range unknown {
		fmt.Fprintf(&b, "\n%s is not known and has no effect; the nearest is %s.", u.Name, u.Nearest)
	}
	return b.String()
}

// settings is every variable with its value in effect, secrets masked.
func (c *Config) settings() []setting {
	var all []setting
	values := reflect.ValueOf(c).Elem()
	for field, value := range values.Fields() {
		name := field.Tag.Get("env")
		if name == "" {
			continue
		}
		shown := fmt.Sprint(value.Interface())
		switch {
		case strings.HasSuffix(name, "_URL") && slices.Contains(c.faulty, name):
			shown = Secret(value.String()).String() // it may hold a secret where none belongs
		case strings.HasSuffix(name, "_URL"):
			shown = maskURL(value.String())
		case field.Type.Kind() == reflect.Slice:
			shown = strings.Join(value.Interface().([]string), ",")
		}
		all = append(all, setting{name, shown, slices.Contains(c.given, name)})
	}
	return all
}
