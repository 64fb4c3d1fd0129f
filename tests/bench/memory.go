// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	leastLimit = 512 << 10 // bytes: what busybox must start under
	tries      = 100
	initTarget = 64 // KiB of an init that waits for start
)

// memory measures how little a container needs before its program runs.
func (b *bench) memory() error {
	swaps, err := os.ReadFile("/proc/swaps")
	if err != nil {
		return err
	}
	if strings.Count(string(swaps), "\n") > 1 {
		return fmt.Errorf("swap is on: what does not fit under a limit would be swapped out")
	}
	all, err := b.runtimes()
	if err != nil {
		return err
	}
	if err := b.waitingInit(all); err != nil {
		return err
	}
	return b.leastMemory(all)
}

// waitingInit reads the resident memory of the init of a created container.
func (b *bench) waitingInit(all []runtimeUnderTest) error {
	bundle := filepath.Join(b.dir, "bundle")
	if err := writeBundle(bundle, 256<<20, "/tiny"); err != nil {
		return err
	}
	for i, r := range all {
		kib, err := r.residentInit(bundle)
		if err != nil {
			return err
		}
		line := result{what: "resident memory of a created, not started, init", program: r.name, value: fmt.Sprintf("%d KiB", kib)}
		if i == 0 {
			line.target, line.missed = fmt.Sprintf("≤ %d KiB", initTarget), kib > initTarget
		}
		b.results = append(b.results, line)
	}
	return nil
}

func (r runtimeUnderTest) residentInit(bundle string) (kib int, err error) {
	const id = "bench-waiting"
	verb := func(words ...string) *exec.Cmd {
		all := slices.Concat(r.command, words)
		return exec.Command(all[0], all[1:]...)
	}
	if _, err := timed(verb("create", "--bundle", bundle, id)); err != nil {
		return 0, err
	}
	defer func() {
		if _, deleteErr := timed(verb("delete", "--force", id)); err == nil {
			err = deleteErr
		}
	}()
	text, err := verb("state", id).Output()
	if err != nil {
		return 0, fmt.Errorf("%s state: %w", r.name, err)
	}
	var state struct{ Pid int }
	if err := json.Unmarshal(text, &state); err != nil {
		return 0, err
	}
	return resident(state.Pid)
}

// resident returns the Rss line of smaps_rollup, in KiB: unlike VmRSS of status,
// it is counted page by page and not batched per processor (proc_pid_smaps(5)).
func resident(pid int) (int, error) {
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(rollup)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Rss:" {
			return strconv.Atoi(fields[1])
		}
	}
	return 0, fmt.Errorf("process %d has no Rss line in smaps_rollup", pid)
}

// leastMemory counts how often busybox's true starts under leastLimit. Each try
// has its own cgroup: charges of an old one would count against the next.
func (b *bench) leastMemory(all []runtimeUnderTest) error {
	bundle := filepath.Join(b.dir, "small")
	if err := writeBundle(bundle, leastLimit, "/bin/true"); err != nil {
		return err
	}
	for i, r := range all {
		started := 0
		var lastErr error
		for try := range tries {
			id := fmt.Sprintf("bench-small-%s-%d", r.name, try)
			command := slices.Concat(r.command, []string{"run", "--bundle", bundle, id})
			if _, err := timed(exec.Command(command[0], command[1:]...)); err == nil {
				started++
			} else {
				lastErr = err
				// runc leaves the container behind when its init is killed early.
				gone := slices.Concat(r.command, []string{"delete", "--force", id})
				_ = exec.Command(gone[0], gone[1:]...).Run()
			}
		}
		line := result{what: fmt.Sprintf("busybox true under a memory limit of %d KiB", leastLimit>>10),
			program: r.name, value: fmt.Sprintf("%d of %d starts", started, tries)}
		if i == 0 {
			line.target, line.missed = fmt.Sprintf("%d of %d", tries, tries), started < tries
			if lastErr != nil {
				fmt.Fprintln(os.Stderr, "bench:", lastErr)
			}
		}
		b.results = append(b.results, line)
	}
	return nil
}
