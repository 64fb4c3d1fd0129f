// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/decode"
)

// SysctlPath returns the file below /proc/sys of a sysctl's name: "net/ipv4/ip_forward"
// for both "net.ipv4.ip_forward" and "net/ipv4/ip_forward". The first separator
// decides which of the two it is, and the other one then is an ordinary
// letter of a name (sysctl(8): "net.ipv4.conf.eth0/100.forwarding" is the
// interface eth0.100). It answers false for a name that is not below /proc/sys.
func SysctlPath(name string) (string, bool) {
	file := name
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		file = strings.NewReplacer(".", "/", "/", ".").Replace(name)
	}
	for part := range strings.SplitSeq(file, "/") {
		if part == "" || part == "." || part == ".." {
			return "", false
		}
	}
	return file, true
}

// ipcSysctls are the files of kernel/ that belong to the IPC namespace: ipc_namespaces(7).
var ipcSysctls = []string{
	"auto_msgmni", "msg_next_id", "msgmax", "msgmnb", "msgmni", "sem", "sem_next_id",
	"shm_next_id", "shm_rmid_forced", "shmall", "shmmax", "shmmni",
}

// sysctlNamespace returns the namespace that a file below /proc/sys belongs to,
// "" for one that is the whole host's.
func sysctlNamespace(file string) string {
	tree, rest, _ := strings.Cut(file, "/")
	switch {
	case tree == "net":
		return "network"
	case tree == "user":
		return "user"
	case tree == "kernel" && (rest == "hostname" || rest == "domainname"):
		return "uts"
	case tree == "kernel" && slices.Contains(ipcSysctls, rest):
		return "ipc"
	case tree == "fs" && strings.HasPrefix(rest, "mqueue/"):
		return "ipc"
	}
	return ""
}

// sysctl checks linux.sysctl: a name must belong to a namespace that the
// container has, else it is the host that would change.
func (v *validator) sysctl(values map[string]string) {
	if len(values) == 0 {
		return
	}
	for _, name := range sorted(values) {
		where := path("linux.sysctl%s", decode.Member(false, name))
		file, ok := SysctlPath(name)
		kind := sysctlNamespace(file)
		switch {
		case !ok:
			v.refuse(where, "is no name of a sysctl")
		case kind == "":
			v.refuse(where, "is not separate for each container: it would change the host").Hint = "set it on the host, with sysctl(8)"
		case file == "kernel/hostname":
			v.refuse(where, "is set with the hostname property").Hint = "use hostname instead"
		case v.namespace(specs.LinuxNamespaceType(kind)) == nil:
			v.refuse(where, "needs a %s namespace", kind).Hint = `add {"type": "` + kind + `"} to linux.namespaces`
		}
	}
}
