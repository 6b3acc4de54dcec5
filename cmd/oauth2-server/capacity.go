package main

import (
	"errors"
	"strconv"
	"strings"
)

// A capacity is a number of bytes, written with a unit: 512MiB, 100GiB, 2TB.
type capacity int64

// The units of a capacity, those of the disks' makers as well.
var capacityUnits = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"Ki", 1 << 10},
	{"Mi", 1 << 20},
	{"Gi", 1 << 30},
	{"Ti", 1 << 40}, // as Kubernetes writes them
}

var errCapacity = errors.New("is no number of bytes with a unit")

// UnmarshalText reads a capacity; empty is none.
func (c *capacity) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*c = 0
		return nil
	}
	for _, unit := range capacityUnits {
		number, ok := strings.CutSuffix(string(text), unit.name)
		if !ok {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(value > 0 && value*float64(unit.bytes) < 1<<62) {
			return errCapacity
		}
		*c = capacity(value * float64(unit.bytes))
		return nil
	}
	return errCapacity
}
