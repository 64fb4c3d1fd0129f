// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"path/filepath"
	"time"
)

// exec measures one more process in a container that runs: what probes of
// orchestrators do all day.
func (b *bench) exec() error {
	bundle := filepath.Join(b.dir, "bundle")
	if err := writeBundle(bundle, 256<<20, "/bin/busybox", "sleep", "1000"); err != nil {
		return err
	}
	for _, m := range []struct {
		what       string
		pause      time.Duration
		crun, runc float64
	}{
		{"exec, back to back", 0, 0.6, 0.25},
		{"exec, from idle", idle, 0.3, 0.25},
	} {
		all, err := b.runtimes()
		if err != nil {
			return err
		}
		for _, r := range all {
			if err := r.started(bundle, "bench-exec-"+r.name); err != nil {
				return err
			}
		}
		err = b.execs(all, m.pause)
		for _, r := range all {
			if _, gone := r.call("delete", "--force", "bench-exec-"+r.name); err == nil {
				err = gone
			}
		}
		if err != nil {
			return err
		}
		ours, crun, runc := all[0].contender, all[1].contender, all[2].contender
		b.compare(m.what, (*contender).walls, ours, rival{crun, m.crun}, rival{runc, m.runc})
		b.compare(m.what+", processor time", (*contender).cpus, ours, rival{crun, 0}, rival{runc, 0})
	}
	return nil
}

// execs runs the tiny program with all runtimes in turns, in blocks as in race.
func (b *bench) execs(all []runtimeUnderTest, pause time.Duration) error {
	for round := 0; len(all[0].samples) < b.runs; round++ {
		for i := range all {
			r := all[(round+i)%len(all)]
			for n := range block {
				time.Sleep(pause)
				s, err := r.call("exec", "bench-exec-"+r.name, "/tiny")
				if err != nil {
					return err
				}
				if round > 0 && n > 0 {
					r.samples = append(r.samples, s)
				}
			}
		}
	}
	return nil
}
