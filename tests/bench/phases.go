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
	var names []string
	took := map[string][]time.Duration{}
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
			if took[e.Name] == nil {
				names = append(names, e.Name)
			}
			took[e.Name] = append(took[e.Name], time.Duration(e.Dur*1000))
		}
	}
	for _, name := range names {
		all := took[name]
		b.results = append(b.results, result{
			what: fmt.Sprintf("where the time of run goes, back to back (n = %d)", b.runs), program: "coracle: " + name,
			value: milliseconds(median(all)), spread: fmt.Sprintf("%s to %s", milliseconds(quantile(all, 0.25)), milliseconds(quantile(all, 0.75))),
		})
	}
	return nil
}
