package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A File holds many runs. A scenario may be in it several times: these are its repeats.
type File struct {
	Version int    `json:"version"`
	Runs    []*Run `json:"runs"`

	Path string `json:"-"` // where it was read from
}

// Read reads a file that Write wrote, and refuses those of another version.
func Read(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	f, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("read result %s: %w", path, err)
	}
	f.Path = path
	return f, nil
}

// parse looks at the version before anything else: the rest of another version may have another shape.
func parse(text []byte) (*File, error) {
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil || head.Version == nil {
		return nil, errors.New("it is no result of \"oauth2-server bench run\"")
	}
	if *head.Version != Version {
		return nil, fmt.Errorf("it has version %d, this binary reads version %d: run the scenarios again, or use the binary that wrote it", *head.Version, Version)
	}
	f := new(File)
	if err := json.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	return f, f.check()
}

// check makes sure of what readers of a file rely on: no pointer is nil.
func (f *File) check() error {
	for i, r := range f.Runs {
		if r == nil {
			return fmt.Errorf("it is damaged: run %d is missing", i)
		}
		if r.Version != Version {
			return fmt.Errorf("it is damaged: run %d has version %d", i, r.Version)
		}
		for _, p := range r.Phases {
			if err := p.check(); err != nil {
				return fmt.Errorf("it is damaged: run %d: %w", i, err)
			}
		}
	}
	return nil
}

func (p *Phase) check() error {
	if p.Outcome == nil {
		return fmt.Errorf("phase %q has no outcome", p.Name)
	}
	for name, kind := range p.Outcome.Kinds {
		if kind == nil {
			return fmt.Errorf("phase %q has nothing of kind %q", p.Name, name)
		}
	}
	return nil
}

// Write writes the file whole or not at all.
func (f *File) Write(path string) (err error) {
	f.Version = Version
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", " ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(f); err != nil {
		return fmt.Errorf("write result %s: %w", path, err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".bench-*")
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	defer os.Remove(temporary.Name()) // in vain once it was renamed
	_, err = temporary.Write(text.Bytes())
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write result %s: %w", path, err)
	}
	return nil
}
