// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cgroup

import (
	"errors"
	"path"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
)

// hint returns what is nearly certainly the matter, or nothing.
func (a *Applier) hint(o resources.Op, err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return ""
	}
	if text := a.controllerHint(o, errno); text != "" {
		return text
	}
	file := path.Base(o.Path)
	for _, h := range hints {
		if h.errno == errno && (h.kind == o.Kind || h.kind == resources.Write && o.Kind == resources.WritePresent) &&
			(strings.HasPrefix(file, h.file) || h.file == "") {
			return h.text
		}
	}
	return ""
}

// hints is in the order of precedence; file is the beginning of a file's name,
// empty for all.
var hints = []struct {
	kind  resources.Kind
	file  string
	errno syscall.Errno
	text  string
}{
	{resources.Mkdir, "", syscall.EROFS, "the cgroup hierarchy is mounted read-only here"},
	{resources.Leaf, "", syscall.EROFS, "the cgroup hierarchy is mounted read-only here"},
	{resources.Mkdir, "", syscall.EACCES, "this user may make cgroups only in a directory that was delegated to it"},
	{resources.Leaf, "", syscall.EACCES, "this user may make cgroups only in a directory that was delegated to it"},
	{resources.Write, "memory.memsw.", syscall.ENOENT, "the kernel does not account swap; boot it with swapaccount=1, or remove memory.swap"},
	{resources.Write, "memory.limit_in_bytes", syscall.EBUSY, "more than that is in use, and the kernel cannot free it"},
	{resources.Write, "memory.memsw.", syscall.EINVAL, "it is less than the cgroup's limit of memory alone"},
	{resources.Write, "memory.swap.max", syscall.ENOENT, "the kernel has no swap accounting; remove memory.swap"},
	{resources.Write, "cpu.cfs_", syscall.EINVAL, "a parent cgroup has a smaller share of its period; see cpu.cfs_quota_us and cpu.cfs_period_us there"},
	{resources.Write, "cpu.rt_", syscall.ENOENT, "the kernel is built without RT_GROUP_SCHED; remove cpu.realtimeRuntime and cpu.realtimePeriod"},
	{resources.Write, "cpu.rt_", syscall.EINVAL, "the parent cgroup must have at least this cpu.rt_runtime_us of its period"},
	{resources.Write, "cpu.idle", syscall.ENOENT, "cpu.idle needs Linux 5.15"},
	{resources.Write, "cpuset.", syscall.EACCES, "it must be a part of what the parent cgroup has; see the same file there"},
	{resources.Write, "cpuset.", syscall.EINVAL, "this machine does not have all of them; see /sys/devices/system/cpu/online and /sys/devices/system/node/online"},
	{resources.Write, "cpuset.", syscall.ERANGE, "this machine does not have all of them; see /sys/devices/system/cpu/online and /sys/devices/system/node/online"},
	{resources.Write, "blkio.bfq.", syscall.ENOENT, "weights need the I/O scheduler BFQ: modprobe bfq, or remove blockIO.weight and weightDevice"},
	{resources.Write, "io.weight", syscall.ENOENT, "weights need the I/O scheduler BFQ: modprobe bfq, or remove blockIO.weight and weightDevice"},
	{resources.Write, "io.", syscall.EOPNOTSUPP, "the disk's I/O scheduler must be BFQ; see /sys/block/*/queue/scheduler"},
	{resources.Write, "blkio.", syscall.ENODEV, "no disk has this number; partitions do not count; see lsblk"},
	{resources.Write, "io.", syscall.ENODEV, "no disk has this number; partitions do not count; see lsblk"},
	{resources.Write, "hugetlb.", syscall.ENOENT, "the kernel has no huge pages of this size; see ls /sys/kernel/mm/hugepages"},
	{resources.Write, "devices.allow", syscall.EPERM, "the parent cgroup does not have this device; see devices.list there"},
	{resources.Write, "devices.", syscall.EINVAL, "the cgroup has children, which keep it from changing; remove them"},
	{resources.Devices, "", syscall.EPERM, "device programs need CAP_BPF or CAP_SYS_ADMIN on the host"},
	{resources.Devices, "", syscall.EINVAL, "the kernel may be built without CONFIG_CGROUP_BPF"},
}

// controllerHint explains a missing file of v2: the controller could not be
// enabled above.
func (a *Applier) controllerHint(o resources.Op, errno syscall.Errno) string {
	if errno != syscall.ENOENT {
		return ""
	}
	dir, file := path.Split(o.Path)
	controller, _, _ := strings.Cut(file, ".")
	control := path.Join(path.Dir(path.Clean(dir)), "cgroup.subtree_control")
	reason, ok := a.refused[control+" +"+controller]
	if !ok {
		return ""
	}
	if above, below, ok := strings.Cut(control, "/user@"); ok && reason != syscall.EBUSY {
		service, _, _ := strings.Cut(below, "/")
		return "the controller " + controller + " is not delegated to " + above + "/user@" + service +
			"; as root: systemctl edit user@.service, and write [Service] Delegate=cpu cpuset io memory pids"
	}
	text := "the controller " + controller + " is not enabled: write +" + controller + " to " + control + ": " + fail.Reason(reason)
	if reason == syscall.EBUSY {
		text += "; processes in that cgroup prevent it"
	}
	return text
}
