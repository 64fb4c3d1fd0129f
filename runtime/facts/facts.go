// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package facts is what plan may know about the machine: a plain value.
//
// Package probe fills it by asking the kernel; "coracle plan --facts FILE" reads
// it from JSON, so that a plan for another machine can be made anywhere.
package facts

import "slices"

import "strings"

// Facts is what one machine answered.
type Facts struct {
	Kernel        string          `json:"kernel"` // release, "6.18.44"
	Arch          string          `json:"arch"`   // of the programs to launch: "amd64" or "arm64"
	UID           int             `json:"uid"`    // effective ids of the runtime
	GID           int             `json:"gid"`
	Capabilities  uint64          `json:"capabilities"`            // permitted set of the runtime, bit n is capability n
	LastCap       int             `json:"lastCap"`                 // highest capability that the kernel knows
	HardLimits    []uint64        `json:"hardLimits,omitempty"`    // of the runtime, by the numbers of getrlimit(2); none: no limits
	UserNamespace bool            `json:"userNamespace,omitempty"` // the runtime is not in the machine's first one
	NoGroups      bool            `json:"noGroups,omitempty"`      // setgroups(2) is forbidden in that namespace
	RootMounts    int             `json:"rootMounts"`              // mounts on top of each other at "/": 1 but for odd machines
	Cgroup        Cgroup          `json:"cgroup"`
	Systemd       *Systemd        `json:"systemd,omitempty"`  // asked for only by its driver
	Confined      bool            `json:"confined,omitempty"` // the runtime itself has an AppArmor profile; known if AppArmor's directory is asked for
	Files         map[string]Kind `json:"files,omitempty"`    // what lies at the host paths that the config names, and at those of [InImage]
}

// A Kind is what lies at a host path.
type Kind struct {
	Mode uint32 `json:"mode"` // st_mode with its type bits, stat(2); 0: nothing is there
	Rdev uint64 `json:"rdev,omitempty"`
	Link string `json:"link,omitempty"` // the path is a symbolic link, to this
}

const imagePrefix = "image:"

// InImage is how a path of the container is named among the paths of the host:
// what lies there in the image, looked up as in a container whose root is root.
// The name has no empty components.
func InImage(root, name string) string { return imagePrefix + root + "//" + name }

// CutImage undoes [InImage].
func CutImage(path string) (root, name string, ok bool) {
	rest, ok := strings.CutPrefix(path, imagePrefix)
	if i := strings.LastIndex(rest, "//"); ok && i >= 0 {
		return rest[:i], rest[i+2:], true
	}
	return "", "", false
}

// Cgroup is the cgroup hierarchies that are mounted: cgroups(7).
type Cgroup struct {
	Denied bool        `json:"denied,omitempty"` // the runtime may not make cgroups beside its own
	V2     *Hierarchy  `json:"v2,omitempty"`     // the unified hierarchy; beside V1 it is a hybrid set-up
	V1     []Hierarchy `json:"v1,omitempty"`     // always in the same order, mostly that in which they were mounted
}

// A Hierarchy is one mounted cgroup hierarchy.
type Hierarchy struct {
	Mount       string   `json:"mount"`       // "/sys/fs/cgroup/memory"
	Controllers []string `json:"controllers"` // v1: as mounted, or "name=systemd"; v2: of the root's cgroup.controllers
	Own         string   `json:"own"`         // the runtime's own cgroup, from Mount: "/" or "/user.slice"
}

// AtLeast tells whether the kernel is of this version or a newer one; one whose
// release says no version is taken for an old one.
func (f Facts) AtLeast(major, minor int) bool {
	var have [2]int
	part := 0
	for _, r := range f.Kernel {
		if r >= '0' && r <= '9' {
			have[part] = min(have[part]*10+int(r-'0'), 1e6)
			continue
		}
		if r != '.' || part == 1 {
			break
		}
		part = 1
	}
	return have[0] > major || have[0] == major && have[1] >= minor
}

// A Container is a container that another process is to join.
type Container struct {
	Proc       string   `json:"proc"`       // of its init: "/proc/123"
	Namespaces []string `json:"namespaces"` // kinds in which the init is not where the runtime is, by the spec's names
	Cgroups    []string `json:"cgroups"`    // its directories
	Join       []string `json:"join"`       // files of v1 that a process writes 0 to
	Into       string   `json:"into"`       // directory of v2 that a process is born in; "": there is none
}

// Has tells whether a kind of namespace has to be joined.
func (c *Container) Has(kind string) bool { return slices.Contains(c.Namespaces, kind) }

// Systemd is the instance of systemd that makes cgroups for the runtime.
type Systemd struct {
	User         bool   `json:"user,omitempty"` // that of a user, not of the machine
	ControlGroup string `json:"controlGroup"`   // what its slices are below: "/", or "/user.slice/user-1000.slice/user@1000.service"
}
