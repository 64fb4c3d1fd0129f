// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package resources compiles linux.resources and linux.cgroupsPath to the list
// of cgroup operations that a container needs: directories, values in the order
// in which the kernel accepts them, and the device program of cgroup v2.
//
// It touches nothing. Package cgroup applies the list, "coracle plan" prints it.
// Values without a meaning on the mounted hierarchies are errors that name the
// field, never silently dropped limits: config-linux.md, Control groups.
package resources

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/facts"
)

// A Kind is what an Op does.
type Kind int

const (
	// Mkdir makes the directory Path, mode 0755. It may exist.
	Mkdir Kind = iota
	// Leaf makes the container's own directory. It may exist, but then it must
	// hold no process and must not be frozen.
	Leaf
	// Write writes Value into the file Path; Or is done instead if there is no
	// such file.
	Write
	// WritePresent is Write that is content if there is no such file.
	WritePresent
	// Inherit copies the file of this name from the parent directory to Path if
	// Path is empty: a new v1 cpuset has no cpus and no mems, and takes no
	// process without them: cpusets(7).
	Inherit
	// Enable writes Value ("+cpu +io") into a cgroup.subtree_control file, as
	// many of its words as the kernel accepts.
	Enable
	// Below refuses with EBUSY when the number in the file Path is greater than
	// Value: linux.resources.memory.checkBeforeUpdate.
	Below
	// Devices attaches Program, a BPF_PROG_TYPE_CGROUP_DEVICE, to the directory
	// Path.
	Devices
	// Enter moves the container's process into the directory Path.
	Enter
	// Own gives the directory Path, and those of its files that the kernel names
	// in /sys/kernel/cgroup/delegate, to the user Value.
	Own
)

// An Op is one operation on a cgroup hierarchy.
type Op struct {
	Kind    Kind
	Path    string // absolute, on the host
	Value   string // without a newline at the end
	Or      *Op    // Write: done instead when Path does not exist
	Program []byte // Devices: struct bpf_insn, 8 bytes each, little endian
	Late    bool   // best applied when the container's init exists: making one needs more than the limit
	Born    bool   // makes what the process is born in: Cgroup.Into
	From    string // the field that asked for it: "linux.resources.memory.limit"
}

// A Cgroup is everything about the cgroups of one container.
type Cgroup struct {
	Dirs     []string // the container's directory in each hierarchy: what the journal records and delete removes
	Leaves   []string // the directory in each hierarchy that its processes are in: that of Dirs, or one below
	Make     []Op     // directories, and what makes them usable
	Adopt    []Op     // the same of those that systemd makes, once it has
	Limit    []Op     // values, in the order in which the kernel accepts them
	Join     []string // files to which the process itself writes "0" when it may join
	Into     string   // directory of the v2 hierarchy, also of a hybrid one, for CLONE_INTO_CGROUP; "" where v2 is not mounted
	Limits   bool     // a limit was asked for; without one a container can do without cgroups
	Warnings []string // what was asked for and cannot be, where that leaves less privilege
}

// Compile returns the operations that put container id into cgroupsPath with
// the limits r, on a machine with the hierarchies f.
//
// Errors are *fail.Error with the field in Where. r may be nil. Zero values
// leave the kernel's default, as engines expect, but for pids.limit, where 0 is
// a limit (runtime-spec 1.3).
func Compile(id, cgroupsPath string, r *specs.LinuxResources, f facts.Cgroup) (Cgroup, error) {
	c, wrong := All(id, cgroupsPath, r, f)
	if len(wrong) > 0 {
		return Cgroup{}, wrong[0]
	}
	return c, nil
}

// All is Compile for those who want to know everything that is wrong.
func All(id, cgroupsPath string, r *specs.LinuxResources, f facts.Cgroup) (Cgroup, []error) {
	var c compiler
	names, absolute, err := split(id, cgroupsPath)
	if err != nil {
		c.note(err)
		names, absolute = []string{"somewhere"}, true // to look at the rest all the same
	}
	return c.compile(names, absolute, r, f)
}

// compile returns the operations for a directory of the given names, from the
// mount points or, unless it is absolute, from the runtime's own.
func (c *compiler) compile(names []string, absolute bool, r *specs.LinuxResources, f facts.Cgroup) (Cgroup, []error) {
	if c.r = r; r == nil {
		c.r = &specs.LinuxResources{}
	}
	if err := c.locate(names, absolute, f); err != nil {
		c.note(err)
		c.places = nil
		c.locate(names, true, f) // to look at the rest all the same
	}
	for _, phase := range []func(){
		c.memory, c.cpu, c.cpuset, c.pids, c.blockIO, c.hugepageLimits, c.rdma, c.network, c.unified,
	} {
		phase()
	}
	c.out.Limits = len(c.out.Limit) > 0
	c.devices()
	c.directories()
	return c.out, c.wrong
}

// A compiler is one run of Compile.
type compiler struct {
	r      *specs.LinuxResources
	places []place
	scope  *Scope   // of the systemd driver; nil: the cgroupfs driver
	used   []string // controllers of v2 that a value needs
	out    Cgroup
	wrong  []error

	disabled bool // there is no driver
}

// note keeps what is wrong with one value, if something is: the next one is
// looked at all the same.
func (c *compiler) note(err error) {
	if err != nil {
		c.wrong = append(c.wrong, err)
	}
}

// write adds a value of the field from.
func (c *compiler) write(from, path, value string) {
	c.out.Limit = append(c.out.Limit, Op{Kind: Write, Path: path, Value: value, From: from})
}

// writePresent adds a value that does not matter where its file is missing.
func (c *compiler) writePresent(from, path, value string) {
	c.out.Limit = append(c.out.Limit, Op{Kind: WritePresent, Path: path, Value: value, From: from})
}

func (c *compiler) warn(from, what string) {
	c.out.Warnings = append(c.out.Warnings, configFile+from+": "+what)
}

const configFile = "config.json "

// invalid is the error for a value that is wrong in itself.
func invalid(from, what string) error { return fail.At(configFile+from, what) }
