// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// phases tells where the time of a run goes, from what coracle notes by --trace.
func (b *bench) phases(ours runtimeUnderTest, bundle string) error {
	file := filepath.Join(b.dir, "trace.json")
	ours.command = slices.Concat(ours.command, []string{"--trace", file})
	var phases []*contender
	for n := range b.runs {
		if _, err := ours.call("run", "--bundle", bundle, fmt.Sprintf("bench-phases-%d", n)); err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var trace struct {
			TraceEvents []struct {
				Name string
				Dur  float64 // microseconds
			}
		}
		if err := json.Unmarshal(text, &trace); err != nil {
			return err
		}
		for _, e := range trace.TraceEvents {
			name := "coracle: " + e.Name
			at := slices.IndexFunc(phases, func(c *contender) bool { return c.name == name })
			if at < 0 {
				at, phases = len(phases), append(phases, &contender{name: name})
			}
			phases[at].samples = append(phases[at].samples, sample{wall: time.Duration(e.Dur * 1000)})
		}
	}
	for _, p := range phases {
		b.add("where the time of run goes, back to back", p, (*contender).walls, result{})
	}
	return nil
}
