// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/seccomp"
	other "github.com/coracle-oci/coracle/tests/seccomp"
)

// A filter is docker's default profile, as one of those who compile it does.
type filter struct {
	*contender
	program []seccomp.Instruction
	compile func() ([]seccomp.Instruction, time.Duration, error)
	// The most that we allow ourselves beside it: of the time to compile, of
	// instructions for a call, of the time for one.
	most [3]float64
}

// seccomp measures docker's default profile: to compile it, to run a container
// with it, and to make calls under it.
func (b *bench) seccomp() (err error) {
	docker, err := other.Docker()
	if err != nil {
		return err
	}
	library, err := other.Start(".", b.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, library.Close()) }()
	all, err := filters(docker, library)
	if err != nil {
		return err
	}
	if err := b.compileFilters(all); err != nil {
		return err
	}
	if err := b.instructions(all); err != nil {
		return err
	}
	if err := b.filteredCalls(all); err != nil {
		return err
	}
	return b.filteredRuns(docker)
}

// filters are ours, and libseccomp's two kinds: crun asks for the list, runc for
// the tree.
func filters(docker *specs.LinuxSeccomp, library *other.Library) ([]*filter, error) {
	p, err := seccomp.Parse(docker, "amd64", "")
	if err != nil {
		return nil, err
	}
	ours := func() ([]seccomp.Instruction, time.Duration, error) {
		begin := time.Now()
		p, err := seccomp.Parse(docker, "amd64", "")
		if err != nil {
			return nil, 0, err
		}
		program, err := p.Compile("")
		return program, time.Since(begin), err
	}
	theirs := func(optimize int) func() ([]seccomp.Instruction, time.Duration, error) {
		return func() ([]seccomp.Instruction, time.Duration, error) { return library.Compile(p, p.Archs, optimize) }
	}
	return []*filter{
		{contender: &contender{name: "coracle"}, compile: ours},
		{contender: &contender{name: "libseccomp, list"}, compile: theirs(1), most: [3]float64{0.1, 0.5, 1.05}},
		{contender: &contender{name: "libseccomp, tree"}, compile: theirs(2), most: [3]float64{0.1, 0.5, 1.05}},
	}, nil
}

// rivals are the others with their targets, and no samples yet.
func rivals(all []*filter, target int) (list []rival) {
	for _, f := range all[1:] {
		list = append(list, rival{f.contender, f.most[target]})
	}
	return list
}

func (b *bench) compileFilters(all []*filter) error {
	for range b.runs {
		for _, f := range all {
			program, took, err := f.compile()
			if err != nil {
				return err
			}
			f.program, f.samples = program, append(f.samples, sample{wall: took})
		}
	}
	at, ours := len(b.results), all[0].contender
	b.compare("compile docker's default seccomp profile", (*contender).walls, ours, rivals(all, 0)...)
	b.results[at].target, b.results[at].missed = "≤ 1 ms", median(ours.walls()) > time.Millisecond
	return nil
}

// instructions counts what a real program's calls take.
func (b *bench) instructions(all []*filter) error {
	calls, err := other.Trace(".", b.dir)
	if err != nil {
		return err
	}
	ours := 0
	for i, f := range all {
		n, err := other.Steps(f.program, calls)
		if err != nil {
			return err
		}
		line := result{what: fmt.Sprintf("BPF instructions for a call of find, cat, sort and uniq (n = %d)", len(calls)), program: f.name,
			value: fmt.Sprintf("%.1f", float64(n)/float64(len(calls)))}
		if i == 0 {
			ours = n
		} else {
			ratio := float64(ours) / float64(n)
			line.ratio, line.target, line.missed = fmt.Sprintf("%.2f ×", ratio), fmt.Sprintf("≤ %.2f ×", f.most[1]), ratio > f.most[1]
		}
		b.results = append(b.results, line)
	}
	return nil
}

// filteredCalls makes calls that docker's profile allows with some arguments: the
// kernel asks the filter each time.
func (b *bench) filteredCalls(all []*filter) (err error) {
	kernel, err := other.StartKernel(".", b.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kernel.Close()) }()
	const count = 20_000 // a few milliseconds: what else the machine does spoils some of the blocks, not the median
	a := seccomp.Native("amd64")
	for _, c := range []struct {
		name, text string
		args       [6]uint64
	}{
		{"personality", "personality(0xffffffff)", [6]uint64{0xffffffff}},
		{"socket", "socket(46, 0, 0), which no kernel has", [6]uint64{46}},
	} {
		number, _ := a.Number(c.name)
		for _, f := range all {
			f.samples = nil
		}
		for n := range b.runs {
			for i := range all { // in turns
				f := all[(n+i)%len(all)]
				err := kernel.Filter(f.program)
				if err != nil {
					return err
				}
				took, err := kernel.Loop(count, seccomp.Data{Arch: a.Token, Number: number, Args: c.args})
				if err != nil {
					return err
				}
				f.samples = append(f.samples, sample{wall: took})
			}
		}
		b.compare(fmt.Sprintf("%d calls of %s under the profile", count, c.text), (*contender).walls, all[0].contender, rivals(all, 2)...)
	}
	return nil
}

// filteredRuns runs busybox's true in containers, with the profile, and with ours
// also without.
func (b *bench) filteredRuns(docker *specs.LinuxSeccomp) error {
	with, without := filepath.Join(b.dir, "with"), filepath.Join(b.dir, "without")
	for _, dir := range []string{with, without} {
		if err := writeBundle(dir, 256<<20, "/bin/true"); err != nil {
			return err
		}
	}
	err := editConfig(filepath.Join(with, "config.json"), func(config map[string]any) { config["linux"].(map[string]any)["seccomp"] = docker })
	if err != nil {
		return err
	}
	all, err := b.runtimes()
	if err != nil {
		return err
	}
	all = append(all, runtimeUnderTest{&contender{name: "coracle without"}, all[0].command, without})
	if err := b.race(all, with, 0); err != nil {
		return err
	}
	b.compare("run true with docker's default seccomp profile", (*contender).walls, all[0].contender,
		rival{all[1].contender, 0.25}, rival{all[2].contender, 0.15}, rival{all[3].contender, 1.1})
	return nil
}
