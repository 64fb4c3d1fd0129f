// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

//go:build amd64 || arm64

package launch

import "unsafe"

// interp and interpEnd are in interp_*.s. They are copied, never called.
func interp()
func interpEnd()

func bounds() (start, end uintptr)

// interpreter returns the machine code of the interpreter, out of this binary's
// own text, which nobody may write to.
func interpreter() []byte {
	start, end := bounds()
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), start)), end-start)
}
