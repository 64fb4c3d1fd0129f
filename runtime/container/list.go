// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/coracle-oci/coracle/internal/fail"
)

// ids returns the names of all containers, sorted.
func (s Store) ids() ([]string, error) {
	entries, err := os.ReadDir(s.Root)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, &fail.Error{Where: "--root", Doing: "list the states", Err: err}
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && CheckID(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// List returns all containers that can be read, by id, and warns of the others unless
// warn is nil.
func (s Store) List(warn func(string, ...any)) ([]*State, error) {
	return Each(s, func(state *State) *State { return state }, warn)
}

// worthAnother is the number of containers for which another CPU is called in: they
// take longer than to start a thread.
const worthAnother = 32

// Each returns what look makes of all containers that can be read, by id, and warns as
// [Store.List] does. look is called on several CPUs at once if there are many.
func Each[T any](s Store, look func(*State) *T, warn func(string, ...any)) ([]*T, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	seen, failed := make([]*T, len(ids)), make([]error, len(ids))
	var next atomic.Int64
	some := func() {
		buf := make([]byte, 0, stateSize)
		for i := next.Add(1) - 1; i < int64(len(ids)); i = next.Add(1) - 1 {
			state, err := s.open(ids[i], Unlocked, buf)
			if failed[i] = err; err == nil {
				seen[i] = look(state)
			}
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(ids)/worthAnother) - 1 {
		others.Go(some)
	}
	some()
	others.Wait()
	for _, err := range failed {
		if err != nil && warn != nil && !errors.Is(err, ErrHalfMade) && !errors.Is(err, ErrNotExist) { // it is being made, or deleted
			warn("%s", fail.Reason(err))
		}
	}
	return slices.DeleteFunc(seen, func(t *T) bool { return t == nil }), nil
}
