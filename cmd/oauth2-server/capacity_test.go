package main

import (
	"strings"
	"testing"
)

func TestCapacityHasAUnit(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0, "100GiB": 100 << 30, "1.5TiB": 3 << 39, "500 MB": 500e6, "20Gi": 20 << 30, "1KB": 1000,
	} {
		var c capacity
		if err := c.UnmarshalText([]byte(text)); err != nil || int64(c) != want {
			t.Errorf("%q: got %d, %v, want %d", text, c, err, want)
		}
	}
	for _, text := range []string{"100", "GiB", "-1GiB", "NaNGiB", "InfTB", "1e30TiB", "0GiB", "1GiB2", "1 gib"} {
		c := capacity(7)
		if err := c.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %d, want it refused", text, c)
		}
	}
}

func TestCapacityIsAVariable(t *testing.T) {
	c, err := loadConfig([]string{"OAUTH2_DATABASE_CAPACITY=2GiB"})
	if err != nil || c.Capacity != 2<<30 {
		t.Errorf("got %d, %v", c.Capacity, err)
	}
	_, err = loadConfig([]string{"OAUTH2_DATABASE_CAPACITY=lots"})
	if err == nil || !strings.Contains(err.Error(), "OAUTH2_DATABASE_CAPACITY") || !strings.Contains(err.Error(), "100GiB") {
		t.Errorf("got %v, want it to name the variable and what it takes", err)
	}
}
