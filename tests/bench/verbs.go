// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// verbs measures what engines call most besides run: state, kill, delete of a
// container that runs, and many lives at the same time.
func (b *bench) verbs() error {
	bundle := filepath.Join(b.dir, "bundle")
	if err := writeBundle(bundle, 256<<20, "/bin/busybox", "sleep", "1000"); err != nil {
		return err
	}
	for _, m := range []struct {
		what       string
		verb       []string // "ID" stands for the container's
		crun, runc float64
	}{
		{"state of a running container", []string{"state", "ID"}, 0.6, 0},
		{"kill of a running container", []string{"kill", "ID", "KILL"}, 0.6, 0},
		{"delete --force of a running container", []string{"delete", "--force", "ID"}, 0, 0.5},
	} {
		all, err := b.runtimes()
		if err != nil {
			return err
		}
		for i := range b.runs {
			for j := range all { // in turns, and each is the first one as often as the others
				if err := all[(i+j)%len(all)].verb(bundle, i, m.verb); err != nil {
					return err
				}
			}
		}
		b.compare(m.what, (*contender).walls, all[0].contender, rival{all[1].contender, m.crun}, rival{all[2].contender, m.runc})
	}
	return b.parallel()
}

// call runs one verb of the runtime.
func (r runtimeUnderTest) call(words ...string) (sample, error) {
	command := slices.Concat(r.command, words)
	return timed(exec.Command(command[0], command[1:]...))
}

// verb takes the time of one verb on a container that runs.
func (r runtimeUnderTest) verb(bundle string, n int, verb []string) error {
	id := fmt.Sprintf("bench-%s-%s-%d", r.name, verb[0], n)
	if err := r.started(bundle, id); err != nil {
		return err
	}
	words := slices.Clone(verb)
	words[slices.Index(words, "ID")] = id
	time.Sleep(2 * time.Millisecond) // the program has begun
	s, err := r.call(words...)
	if err != nil {
		return err
	}
	r.samples = append(r.samples, s)
	if verb[0] != "delete" {
		_, err = r.call("delete", "--force", id)
	}
	return err
}

func (r runtimeUnderTest) started(bundle, id string) error {
	if _, err := r.call("create", "--bundle", bundle, id); err != nil {
		return err
	}
	_, err := r.call("start", id)
	return err
}

// parallel measures a hundred containers that are created, started and deleted at
// the same time, as on a node that comes up.
func (b *bench) parallel() error {
	const lives, rounds = 100, 7
	bundle := filepath.Join(b.dir, "tiny")
	if err := writeBundle(bundle, 256<<20, "/tiny"); err != nil {
		return err
	}
	all, err := b.runtimes()
	if err != nil {
		return err
	}
	for round := range rounds {
		for i := range all {
			r := all[(round+i)%len(all)]
			begin := time.Now()
			if err := r.lives(bundle, round, lives); err != nil {
				return err
			}
			if round > 0 { // the first one warms up
				r.samples = append(r.samples, sample{wall: time.Since(begin)})
			}
			time.Sleep(time.Second) // what the kernel takes down later is not the next one's
		}
	}
	ours, crun, runc := all[0].contender, all[1].contender, all[2].contender
	b.compare("100 containers at once: create, start, delete", (*contender).walls, ours, rival{crun, 0.6}, rival{runc, 0})
	return nil
}

// lives runs count containers at the same time.
func (r runtimeUnderTest) lives(bundle string, round, count int) error {
	failed := make([]error, count)
	var all sync.WaitGroup
	for n := range count {
		all.Go(func() {
			id := fmt.Sprintf("bench-%s-life-%d-%d", r.name, round, n)
			if failed[n] = r.started(bundle, id); failed[n] == nil {
				_, failed[n] = r.call("delete", "--force", id)
			}
		})
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return errors.New(strings.SplitN(err.Error(), "\n", 2)[0])
	}
	return nil
}
