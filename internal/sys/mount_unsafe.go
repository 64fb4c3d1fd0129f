// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// StatMount returns the type, as statfs(2) numbers it, and the options of the file
// system of a mount, by its unique id: statmount(2), which takes Linux 6.11 to tell
// of options. On older kernels there are none.
func StatMount(id uint64) (magic uint64, options string, err error) {
	const basic, withOptions = 0x1, 0x80 // STATMOUNT_SB_BASIC, STATMOUNT_MNT_OPTS
	request := struct {                  // struct mnt_id_req
		size, _        uint32
		id, parameters uint64
	}{size: unix.MNT_ID_REQ_SIZE_VER0, id: id, parameters: basic | withOptions}
	var answer struct { // struct statmount
		_, options uint32 // where in text
		mask       uint64
		_, _       uint32
		magic      uint64
		_          [512 - 32]byte
		text       [512]byte
	}
	_, _, errno := unix.Syscall6(unix.SYS_STATMOUNT, uintptr(unsafe.Pointer(&request)), uintptr(unsafe.Pointer(&answer)), unsafe.Sizeof(answer), 0, 0, 0)
	if errno != 0 {
		return 0, "", errno
	}
	if answer.mask&withOptions != 0 && int(answer.options) < len(answer.text) {
		options = unix.ByteSliceToString(answer.text[answer.options:])
	}
	return answer.magic, options, nil
}
