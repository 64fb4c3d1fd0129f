// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cgroup

import (
	"bytes"
	"strconv"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// OOMKills returns how many processes of the container were killed because its
// memory limit, or one above, was reached. v2 counts those in cgroups that the
// container made; v1 does not. Without a memory controller it is 0.
func OOMKills(dirs []string) (uint64, error) {
	for _, dir := range dirs {
		for _, file := range []string{"/memory.events", "/memory.oom_control"} {
			data, err := sys.ReadInto(make([]byte, 0, 256), dir+file)
			if err == syscall.ENOENT || err == syscall.ENODEV {
				continue
			}
			if err != nil {
				return 0, &fail.Error{Doing: "read " + dir + file, Err: err}
			}
			return counter(data, "oom_kill "), nil
		}
	}
	return 0, nil
}

// counter returns the number in the line that begins with key, 0 without one.
func counter(data []byte, key string) uint64 {
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte(key)); ok {
			n, _ := strconv.ParseUint(string(rest), 10, 64)
			return n
		}
	}
	return 0
}
