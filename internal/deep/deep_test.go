// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package deep

import (
	"runtime/metrics"
	"sync"
	"testing"
)

// TestGrow: the frame is on the stack, which has its size afterwards.
func TestGrow(t *testing.T) {
	if n := testing.AllocsPerRun(10, func() { grow(true) }); n != 0 {
		t.Errorf("%v allocations: the frame is on the heap", n)
	}
	const goroutines = 1000
	before := stacks()
	var grown, done sync.WaitGroup
	stay := make(chan struct{})
	grown.Add(goroutines)
	for range goroutines {
		done.Go(func() {
			grow(false)
			grown.Done()
			<-stay
		})
	}
	grown.Wait()
	after := stacks()
	close(stay)
	done.Wait()
	if after-before < goroutines*room {
		t.Errorf("%d goroutines have %d bytes of stack more, want at least %d for each", goroutines, after-before, room)
	}
}

// stacks returns the bytes of memory that are goroutines' stacks.
func stacks() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
