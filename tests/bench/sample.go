// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// A contender is one program that does the job which is measured.
type contender struct {
	name    string
	samples []sample
}

// A sample is one run: by the clock, and in processor time of the process and
// of the children that it waited for.
type sample struct {
	wall, cpu time.Duration
	peak      int64  // resident memory at its highest, KiB
	said      string // standard output and error
}

// timed runs a command to its end. What it says goes to a file: a pipe would add
// a copying goroutine and its wake-ups to the time.
func timed(command *exec.Cmd) (sample, error) {
	output, err := os.CreateTemp("", "coracle-bench-out-")
	if err != nil {
		return sample{}, err
	}
	defer output.Close()
	if err := os.Remove(output.Name()); err != nil {
		return sample{}, err
	}
	command.Stdout, command.Stderr = output, output
	start := time.Now()
	err = command.Run()
	s := sample{wall: time.Since(start)}
	said, readErr := io.ReadAll(io.NewSectionReader(output, 0, 1<<20))
	if err = cmp.Or(err, readErr); err != nil {
		return sample{}, fmt.Errorf("%v: %w: %s", command.Args, err, said)
	}
	s.said = string(said)
	s.cpu = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	s.peak = command.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	return s, nil
}

// walls and cpus are the columns of the samples.
func (c *contender) walls() []time.Duration {
	return column(c.samples, func(s sample) time.Duration { return s.wall })
}

func (c *contender) cpus() []time.Duration {
	return column(c.samples, func(s sample) time.Duration { return s.cpu })
}

func column(samples []sample, of func(sample) time.Duration) []time.Duration {
	var column []time.Duration
	for _, s := range samples {
		column = append(column, of(s))
	}
	return column
}

// quantile returns the value below which the fraction q of the durations lies;
// of an even number's two middle values, the upper.
func quantile(durations []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(durations))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func median(durations []time.Duration) time.Duration { return quantile(durations, 0.5) }
