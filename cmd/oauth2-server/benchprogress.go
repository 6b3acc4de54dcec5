//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	benchload "oauth2-server/bench/load"
	"oauth2-server/bench/quantity"
)

// A progress tells, beside what a command prints, how a run goes: on a terminal in one line that changes, elsewhere in plain lines.
type progress struct {
	w     io.Writer
	live  bool // w is a terminal
	name  string
	phase string
	bar   *progressbar.ProgressBar
	told  time.Time
}

func newProgress(w io.Writer) *progress {
	file, ok := w.(*os.File)
	return &progress{w: w, live: ok && term.IsTerminal(int(file.Fd()))}
}

// plainEvery is the time between plain lines about one phase.
const plainEvery = 5 * time.Second

// begin starts to tell about a scenario.
func (p *progress) begin(name string) {
	p.name, p.phase, p.told = name, "", time.Now()
	if p.live {
		p.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(p.w), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetDescription(name), progressbar.OptionSetElapsedTime(false), progressbar.OptionSpinnerType(14))
	}
}

// end clears the line.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish() // what cannot be shown is no fault of the run
		p.bar = nil
	}
}

// log tells what is done now: a phase, or a step of preparation.
func (p *progress) log(format string, args ...any) {
	p.phase = fmt.Sprintf(format, args...)
	p.show(p.phase)
}

// tick tells about the last second.
func (p *progress) tick(t benchload.Tick) {
	if p.bar == nil && time.Since(p.told) < plainEvery {
		return
	}
	p.told = time.Now()
	p.show(fmt.Sprintf("%s %s: %s, p50 %s, p99 %s, max %s, %d errors", p.phase, t.At.Round(time.Second),
		quantity.Rate(t.Rate), quantity.Duration(t.P50), quantity.Duration(t.P99), quantity.Duration(t.Max), t.Errors))
}

func (p *progress) show(text string) {
	text = strings.TrimSpace(p.name + "  " + text)
	if p.bar == nil {
		fmt.Fprintln(p.w, text)
		return
	}
	p.bar.Describe(text)
	_ = p.bar.Add(1)
}
