// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package testkit

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// exitCode is exit_group(0) in machine code, for each architecture that the
// runtime knows.
var exitCode = map[string]struct {
	machine uint16 // e_machine, elf(5)
	code    []byte
}{
	// xor %edi,%edi; mov $231,%eax; syscall
	"amd64": {62, []byte{0x31, 0xff, 0xb8, 0xe7, 0, 0, 0, 0x0f, 0x05}},
	// mov x0,#0; mov x8,#94; svc #0
	"arm64": {183, []byte{0x00, 0x00, 0x80, 0xd2, 0xc8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4}},
}

// TinyELF writes a static program of 129 bytes or so that exits with status 0
// at once, and returns its path. Whoever measures a runtime with it measures
// the runtime alone: busybox's true takes a millisecond by itself.
func TinyELF(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny")
	if err := os.WriteFile(path, TinyImage(), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TinyImage returns the contents of [TinyELF], for programs that are no tests.
func TinyImage() []byte { return tinyELF(runtime.GOARCH) }

// Image returns an executable that consists of machine code for this machine.
func Image(code ...byte) []byte { return image(exitCode[runtime.GOARCH].machine, code) }

func tinyELF(arch string) []byte { return image(exitCode[arch].machine, exitCode[arch].code) }

// image returns an executable of one loaded segment: the ELF header, one
// program header and the code behind them.
func image(machine uint16, code []byte) []byte {
	const base, headers = 0x400000, 64 + 56
	size := uint64(headers + len(code))
	order := binary.LittleEndian
	b := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 15: 0} // 64 bits, little endian
	b = order.AppendUint16(b, 2)                     // e_type: ET_EXEC
	b = order.AppendUint16(b, machine)
	b = order.AppendUint32(b, 1)            // e_version
	b = order.AppendUint64(b, base+headers) // e_entry
	b = order.AppendUint64(b, 64)           // e_phoff
	b = order.AppendUint64(b, 0)            // e_shoff
	b = order.AppendUint32(b, 0)            // e_flags
	for _, half := range []uint16{64, 56, 1, 0, 0, 0} {
		b = order.AppendUint16(b, half) // e_ehsize, e_phentsize, e_phnum, no sections
	}
	b = order.AppendUint32(b, 1) // p_type: PT_LOAD
	b = order.AppendUint32(b, 5) // p_flags: read, execute
	for _, word := range []uint64{0, base, base, size, size, 0x1000} {
		b = order.AppendUint64(b, word) // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
	}
	return append(b, code...)
}
