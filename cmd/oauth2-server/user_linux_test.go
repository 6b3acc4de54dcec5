package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is the two ends of one: what a person types into and looks at, and what a program has as its input.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// awaitHidden returns once what is typed is no longer shown.
func awaitHidden(t *testing.T, program *os.File) {
	t.Helper()
	for t.Context().Err() == nil {
		mode, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if mode.Lflag&unix.ECHO == 0 {
			return
		}
		runtime.Gosched()
	}
}

func TestPasswordIsAskedForTwiceAndNotShown(t *testing.T) {
	f := func(first, second, problem string) {
		t.Helper()
		person, program := terminal(t)
		prompts := make(screen, 8)
		done := make(chan error, 1)
		var got string
		go func() {
			var err error
			got, err = readPassword("", program, prompts)
			done <- err
		}()
		for _, typed := range []string{first, second} {
			for prompt := range prompts {
				if strings.HasSuffix(prompt, ": ") {
					break
				}
			}
			awaitHidden(t, program)
			fmt.Fprintln(person, typed)
		}
		err := <-done
		fmt.Fprint(program, "the end")
		shown := make([]byte, 1000)
		n, readErr := person.Read(shown)
		if readErr != nil || strings.Contains(string(shown[:n]), first) || !strings.HasSuffix(string(shown[:n]), "the end") {
			t.Errorf("got %q on the screen (%v)", shown[:n], readErr)
		}
		if problem == "" && (err != nil || got != first) {
			t.Errorf("got %q, %v, want what was typed", got, err)
		}
		if problem != "" && (err == nil || !strings.Contains(err.Error(), problem) || got != "") {
			t.Errorf("got %q, %v, want %q", got, err, problem)
		}
	}
	f(testPassword, testPassword, "")
	f(testPassword, otherPassword, "differ")
}

// A screen hands out what is written, a write at a time.
type screen chan string

func (l screen) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
