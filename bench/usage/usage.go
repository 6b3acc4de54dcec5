package usage

import (
	"context"
	"os"
	"sync"
	"time"
)

// The names of the parts. Replicas are "replica 0", "replica 1", ….
const (
	Generator = "generator" // this process
	Postgres  = "postgres"  // with all its children
	Redis     = "redis"
	Server    = "replica" // how the names of replicas begin
)

// A Sample is one second, the last of a watch a part of one.
type Sample struct {
	At      time.Duration   `json:"at"` // its end, since the watch began
	Parts   map[string]Part `json:"parts"`
	Machine float64         `json:"machine"` // busy cores of the whole machine, whoever used them
}

// A Part is what one part took in that time.
type Part struct {
	CPU float64 `json:"cpu"` // cores: 1.5 is one and a half
	RSS int64   `json:"rss"` // bytes; pages shared among a part's processes count once
}

// every is the time between two samples, and least that of the last one, which the end of the watch cuts short.
const (
	every = time.Second
	least = every / 10
)

// Watch samples the generator, and the parts whose first process pids names, until ctx ends or the returned
// function is called, which gives the samples. pids is asked each second, for a part may be restarted. It may be nil.
func Watch(ctx context.Context, pids func() map[string]int) func() []Sample {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{pids: pids, start: time.Now()}
	w.last = w.look()
	var work sync.WaitGroup
	work.Go(func() { w.run(ctx) })
	return func() []Sample {
		cancel()
		work.Wait()
		if time.Since(w.last.at) >= least {
			w.sample()
		}
		return w.samples
	}
}

// A watch is the samples so far, and the last look, from which the next second is counted.
type watch struct {
	pids    func() map[string]int
	start   time.Time
	last    look
	samples []Sample
}

// A look is the counters at one moment.
type look struct {
	at      time.Time
	parts   map[string]part
	machine float64 // seconds that cores were busy since the system's start
}

func (w *watch) run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.sample()
		}
	}
}

func (w *watch) sample() {
	now := w.look()
	seconds := now.at.Sub(w.last.at).Seconds()
	s := Sample{At: now.at.Sub(w.start), Parts: map[string]Part{}, Machine: (now.machine - w.last.machine) / seconds}
	for name, p := range now.parts {
		s.Parts[name] = Part{CPU: p.since(w.last.parts[name]) / seconds, RSS: p.rss}
	}
	w.samples = append(w.samples, s)
	w.last = now
}

func (w *watch) look() look {
	processes := readProcesses()
	l := look{at: time.Now(), parts: map[string]part{Generator: processes.one(os.Getpid())}, machine: machineBusy()}
	if w.pids == nil {
		return l
	}
	for name, pid := range w.pids() {
		l.parts[name] = processes.tree(pid)
	}
	return l
}
