// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A result is one line of the table: a program in a measurement.
type result struct {
	what    string
	program string
	value   string // the median, or a size or count, with its unit
	spread  string // the quartiles, "" where there is only one value
	ratio   string // our median divided by this program's
	target  string
	missed  bool
}

// A rival is a peer and the greatest ratio that we allow ourselves against it;
// 0 if there is no target.
type rival struct {
	*contender
	target float64
}

// compare adds the lines of one measurement: ours, and each rival's with the
// ratio of the medians.
func (b *bench) compare(what string, of func(*contender) []time.Duration, ours *contender, rivals ...rival) {
	b.add(what, ours, of, result{})
	for _, r := range rivals {
		ratio := float64(median(of(ours))) / float64(median(of(r.contender)))
		line := result{ratio: fmt.Sprintf("%.2f ×", ratio)}
		if r.target > 0 {
			line.target, line.missed = fmt.Sprintf("≤ %.2f ×", r.target), ratio > r.target
		}
		b.add(what, r.contender, of, line)
	}
}

func (b *bench) add(what string, c *contender, of func(*contender) []time.Duration, line result) {
	durations := of(c)
	line.what, line.program = fmt.Sprintf("%s (n = %d)", what, len(durations)), c.name
	line.value = milliseconds(median(durations))
	line.spread = fmt.Sprintf("%s to %s", milliseconds(quantile(durations, 0.25)), milliseconds(quantile(durations, 0.75)))
	b.results = append(b.results, line)
}

func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms >= 100 {
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

// report prints the table, writes it to the file if one is named, and ends with
// the targets that were missed.
func (b *bench) report(file string) error {
	text := b.markdown()
	fmt.Print(text)
	if file == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

func (b *bench) markdown() string {
	var s strings.Builder
	fmt.Fprintf(&s, "# Measured by `make bench`, %s\n\n", time.Now().UTC().Format(time.DateOnly))
	machine(&s, b.bin)
	s.WriteString("\nMedians and quartiles; the programs of one measurement ran in turns. A ratio is coracle's\n" +
		"median (imgmgr's, bridge's) divided by the peer's: less is better.\n\n" +
		"| measurement | program | median | quartiles | ratio | target | |\n|---|---|---|---|---|---|---|\n")
	var missed []string
	last := ""
	for _, r := range b.results {
		what := r.what
		if what == last {
			what = ""
		}
		last = r.what
		verdict := ""
		if r.missed {
			verdict = "**missed**"
			missed = append(missed, fmt.Sprintf("%s, %s: %s %s, target %s", r.what, r.program, r.value, r.ratio, r.target))
		} else if r.target != "" {
			verdict = "met"
		}
		fmt.Fprintf(&s, "| %s | %s | %s | %s | %s | %s | %s |\n", what, r.program, r.value, r.spread, r.ratio, r.target, verdict)
	}
	if len(missed) == 0 {
		s.WriteString("\nAll targets are met.\n")
	}
	for _, m := range missed {
		fmt.Fprintf(&s, "\nMissed: %s.\n", m)
	}
	return s.String()
}

// machine writes what the numbers depend on.
func machine(w io.Writer, bin string) {
	var memory syscall.Sysinfo_t
	_ = syscall.Sysinfo(&memory)
	load, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(load), " ")
	fmt.Fprintf(w, "- machine: %s, %d cores, %d GiB, Linux %s, load at the end %s\n",
		cpuModel(), runtime.NumCPU(), memory.Totalram>>30, firstLine("uname", "-r"), one)
	fmt.Fprintf(w, "- coracle: commit %s, %s\n", firstLine("git", "describe", "--always", "--dirty", "--abbrev=12"), runtime.Version())
	fmt.Fprintf(w, "- peers: %s; %s; %s; containernetworking-plugins %s\n",
		firstLine("crun", "--version"), firstLine("runc", "--version"), firstLine("umoci", "--version"),
		firstLine("dpkg-query", "-W", "-f", "${Version}", "containernetworking-plugins"))
	fmt.Fprintf(w, "- sizes:")
	for _, name := range []string{"coracle", "imgmgr", "cni/bridge"} {
		if info, err := os.Stat(filepath.Join(bin, name)); err == nil {
			fmt.Fprintf(w, " %s %.1f MiB", name, float64(info.Size())/(1<<20))
		}
	}
	fmt.Fprintln(w)
}

func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH
}

func firstLine(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return name + ": " + err.Error()
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
