// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package deep gives the main goroutine a deep stack as its very first act. A
// program imports it for that alone.
//
// A goroutine begins with 2 KiB and doubles when it must. Each time all its frames
// are found and moved, which reads the tables of every function that is underway,
// from pages of the program that nobody has touched yet. While no package is
// initialised but the runtime there is one frame to move. Programs that live for a
// millisecond spend a sixth of it on that (RATIONALE.md).
//
// It imports nothing, so that it is initialised before all that has imports.
package deep

func init() { grow(false) }

// room is what the verbs that make containers need, in bytes.
const room = 24 << 10

// grow makes the stack deep enough for its frame when it is entered. Only touch
// makes it write to that, and so need the memory.
//
//go:noinline
func grow(touch bool) {
	if touch {
		var frame [room]byte
		use(&frame)
	}
}

//go:noinline
func use(*[room]byte) {}
