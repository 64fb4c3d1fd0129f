// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"slices"

	"github.com/coracle-oci/coracle/internal/fail"
	kernel "github.com/coracle-oci/coracle/internal/sys/linux"
)

// MountOptions returns the mount options that coracle knows by name, sorted: those
// of config.md, "Linux mount options", and those of crun that podman writes. All
// other options are the file system's own.
func MountOptions() []string { return slices.Clone(mountOptions) }

// KnownMountOption tells whether option is in [MountOptions]; idmap and ridmap may
// have a value.
func KnownMountOption(option string) bool {
	_, known := slices.BinarySearch(mountOptions, option)
	return known || isIDMap(option)
}

// IsBind tells whether a mount with these options is a bind mount. The type does
// not count: config.md, "Mounts", for POSIX platforms.
func IsBind(options []string) bool {
	return slices.Contains(options, "bind") || slices.Contains(options, "rbind")
}

// mountOptions is sorted.
var mountOptions = []string{
	"async", "atime", "bind", "copy-symlink", "defaults", "dest-nofollow", "dev",
	"diratime", "dirsync", "exec", "idmap", "iversion", "lazytime", "loud", "mand",
	"noatime", "nodev", "nodiratime", "noexec", "noiversion", "nolazytime",
	"nomand", "norelatime", "nostrictatime", "nosuid", "nosymfollow", "private",
	"rasync", "ratime", "rbind", "rdev", "rdiratime", "rdirsync", "relatime",
	"remount", "rexec", "ridmap", "rmand", "rnoatime", "rnodev", "rnodiratime",
	"rnoexec", "rnomand", "rnorelatime", "rnostrictatime", "rnosuid",
	"rnosymfollow", "ro", "rprivate", "rrelatime", "rro", "rrw", "rshared",
	"rslave", "rstrictatime", "rsuid", "rsymfollow", "rsync", "runbindable", "rw",
	"shared", "silent", "slave", "src-nofollow", "strictatime", "suid", "symfollow",
	"sync", "tmpcopyup", "unbindable",
}

// Namespaces returns the namespace types of config-linux.md, sorted.
func Namespaces() []string { return slices.Clone(namespaces) }

var namespaces = []string{"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}

// propagations are the values of rootfsPropagation. The spec has four; the
// recursive spellings are what engines write (containerd's CRI, docker).
var propagations = []string{"private", "rprivate", "rshared", "rslave", "runbindable", "shared", "slave", "unbindable"}

// Capabilities returns the names of capabilities(7) by number: the name of
// capability n is at index n.
func Capabilities() []string { return slices.Clone(kernel.Capabilities[:]) }

// CapabilityName returns the name of capability n, or "" if it has none yet.
func CapabilityName(n int) string {
	if n < 0 || n >= len(kernel.Capabilities) {
		return ""
	}
	return kernel.Capabilities[n]
}

// CapabilityNumber returns the number of a capability such as "CAP_SYS_ADMIN".
func CapabilityNumber(name string) (int, bool) {
	n := slices.Index(kernel.Capabilities[:], name)
	return n, n >= 0
}

// RlimitNumber returns the resource number of a limit such as "RLIMIT_NOFILE",
// setrlimit(2).
func RlimitNumber(name string) (int, bool) {
	n := slices.Index(rlimitNames, name)
	return n, n >= 0
}

// rlimitNames is ordered by number: include/uapi/asm-generic/resource.h, which
// amd64 and arm64 share.
var rlimitNames = []string{
	"RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE",
	"RLIMIT_RSS", "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS",
	"RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE",
	"RLIMIT_RTPRIO", "RLIMIT_RTTIME",
}

// nearest returns a hint, or "" where nothing is near.
func nearest(word string, names []string) string {
	// The names of clone(2) and /proc/PID/ns are too short for a distance.
	switch word {
	case "net":
		word = "network"
	case "mnt":
		word = "mount"
	}
	return fail.Nearest(word, names)
}
