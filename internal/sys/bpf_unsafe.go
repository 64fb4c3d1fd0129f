// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"encoding/binary"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A bpfAttr is the union bpf_attr of linux/bpf.h, with room to spare: kernels
// 6.17 to 7.1 write past the end of a small one, and all accept zeros behind
// what they know.
type bpfAttr [256]byte

func (a *bpfAttr) u32(at int, v uint32) { binary.NativeEndian.PutUint32(a[at:], v) }
func (a *bpfAttr) u64(at int, v uint64) { binary.NativeEndian.PutUint64(a[at:], v) }

// call is bpf(2).
//
// Preconditions: what the attr points to is pinned until call returns.
func (a *bpfAttr) call(command int) (int, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(unsafe.Pointer(a)), unsafe.Sizeof(*a))
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR, unix.EAGAIN:
			// EAGAIN: the verifier saw a signal, such as one of Go's scheduler.
		default:
			return -1, errno
		}
	}
}

// LoadDeviceProgram verifies and loads a BPF_PROG_TYPE_CGROUP_DEVICE, an array
// of struct bpf_insn, and returns its fd, close-on-exec: bpf(2).
func LoadDeviceProgram(instructions []byte) (int, error) {
	const insnSize = 8
	if len(instructions) < insnSize {
		return -1, unix.EINVAL
	}
	license := []byte("Apache-2.0\x00") // the helpers that need another one are not used
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&instructions[0])
	pin.Pin(&license[0])

	var a bpfAttr
	a.u32(0, unix.BPF_PROG_TYPE_CGROUP_DEVICE)
	a.u32(4, uint32(len(instructions)/insnSize))
	a.u64(8, uint64(uintptr(unsafe.Pointer(&instructions[0]))))
	a.u64(16, uint64(uintptr(unsafe.Pointer(&license[0]))))
	copy(a[48:63], "coracle_devices") // prog_name, for bpftool
	return a.call(unix.BPF_PROG_LOAD)
}

// AttachDeviceProgram attaches a loaded program to a cgroup of v2. Others may
// be attached to the same and to its ancestors and descendants: all must allow.
func AttachDeviceProgram(cgroupFD, programFD int) error {
	var a bpfAttr
	a.u32(0, uint32(cgroupFD))
	a.u32(4, uint32(programFD))
	a.u32(8, unix.BPF_CGROUP_DEVICE)
	a.u32(12, unix.BPF_F_ALLOW_MULTI)
	_, err := a.call(unix.BPF_PROG_ATTACH)
	return err
}
