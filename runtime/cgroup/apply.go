// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package cgroup applies the operations that package resources compiled, and
// looks after a container's cgroups from then on: who is in them, stopping and
// killing all of them, removing the directories. It decides nothing about
// limits. Package container calls it.
//
// A container is known by its directories, one per hierarchy; what a directory
// can do is seen from the files in it, so the same calls serve v1, v2 and both
// beside each other.
package cgroup

import (
	"errors"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
)

const directoryMode = 0o755

// Apply executes the operations of the lists in order. When one fails, the
// directories that it made are removed again, as far as nobody else uses them,
// and the *fail.Error names the field that asked for the operation.
func Apply(lists ...[]resources.Op) error {
	var a Applier
	for _, list := range lists {
		if err := a.Apply(list); err != nil {
			a.Undo()
			return err
		}
	}
	return nil
}

// An Applier applies operations in several goes, with other things in between.
type Applier struct {
	file    int    // open for writing, if path says which: many values go into the same file one after the other
	path    string // of file
	made    []string
	values  map[string]string // what cpuset files are known to hold
	refused map[string]error  // why a v2 directory has no controller, by file and word
}

// Apply executes the operations up to the first that fails, see [Apply], and leaves
// what has been made.
func (a *Applier) Apply(list []resources.Op) error {
	defer a.release()
	for i := range list {
		if err := a.do(list[i]); err != nil {
			return err
		}
	}
	return nil
}

// do executes one operation.
func (a *Applier) do(o resources.Op) error {
	err := a.execute(o)
	if err == nil || err == syscall.EPERM && (isDeviceRule(o) || o.Kind == resources.Own) && unprivileged() {
		return nil
	}
	if e, ok := errors.AsType[*fail.Error](err); ok {
		e.Where = where(o)
		return e
	}
	return &fail.Error{Where: where(o), Doing: o.String(), Err: err, Hint: a.hint(o, err)}
}

// isDeviceRule reports whether the operation is about access to devices.
func isDeviceRule(o resources.Op) bool {
	return o.Kind == resources.Devices || o.Kind == resources.Write && strings.HasPrefix(path.Base(o.Path), "devices.")
}

// unprivileged reports whether this process is in a user namespace, or is an
// ordinary user. The kernel lets neither set rules for devices, and neither can
// make device nodes: what they can open is up to the nodes that they are shown.
// Engines send rules all the same.
func unprivileged() bool {
	ids, err := sys.ReadInto(make([]byte, 0, 512), "/proc/self/uid_map")
	return err == nil && (os.Geteuid() != 0 || !slices.Equal(strings.Fields(string(ids)), []string{"0", "0", "4294967295"}))
}

func where(o resources.Op) string { return "config.json " + o.From }

func (a *Applier) execute(o resources.Op) error {
	switch o.Kind {
	case resources.Mkdir:
		_, err := a.mkdir(o.Path)
		return err
	case resources.Leaf:
		return a.leaf(o.Path)
	case resources.Write:
		err := a.write(o.Path, o.Value)
		if err == syscall.ENOENT && o.Or != nil {
			return a.do(*o.Or)
		}
		return err
	case resources.WritePresent:
		if err := a.write(o.Path, o.Value); err != syscall.ENOENT {
			return err
		}
		return nil
	case resources.Inherit:
		return a.inherit(o.Path, o.Source())
	case resources.Enable:
		a.enable(o.Path, o.Value)
		return nil
	case resources.Below:
		return below(o.Path, o.Value)
	case resources.Devices:
		return attach(o.Path, o.Program)
	case resources.Enter:
		return a.write(o.Path+"/cgroup.procs", o.Value)
	case resources.Own:
		return own(o.Path, o.Value)
	}
	return syscall.ENOSYS
}

// mkdir makes a directory and reports whether it did not exist.
func (a *Applier) mkdir(path string) (made bool, err error) {
	switch err := sys.MakeDir(path, directoryMode); err {
	case nil:
		a.made = append(a.made, path)
		return true, nil
	case syscall.EEXIST:
		return false, nil
	default:
		return false, err
	}
}

// leaf makes the container's own directory. One that exists is taken over if
// nothing is in it: engines prepare cgroups, and a killed create leaves them.
func (a *Applier) leaf(path string) error {
	made, err := a.mkdir(path)
	if made || err != nil {
		return err
	}
	return ensureEmpty(path)
}

// EnsureEmpty returns an error if one of the directories exists and has a
// process in it, or is frozen.
//
// Apply asks the same. Whoever notes directories down as those of a container,
// so that they are killed and removed with it, asks before: until then they may
// be those of another one.
func EnsureEmpty(dirs []string) error {
	for _, dir := range dirs {
		if sys.Absent(dir) {
			continue
		}
		err := ensureEmpty(dir)
		if e, ok := errors.AsType[*fail.Error](err); ok {
			e.Where = "config.json linux.cgroupsPath"
			return e
		}
		if err != nil && err != syscall.ENOENT {
			return &fail.Error{Where: "config.json linux.cgroupsPath", Doing: "use the cgroup " + dir, Err: err}
		}
	}
	return nil
}

func ensureEmpty(dir string) error {
	pids, err := membersBelow(dir)
	if err != nil {
		return err
	}
	if len(pids) > 0 {
		return &fail.Error{Doing: "use the cgroup " + dir + ": process " + strconv.Itoa(pids[0]) + " is in it",
			Hint: "each container needs a cgroup of its own; see cat /proc/" + strconv.Itoa(pids[0]) + "/cgroup"}
	}
	if frozen, err := isFrozen(dir); err != nil {
		return err
	} else if frozen {
		return &fail.Error{Doing: "use the cgroup " + dir + ": it is frozen", Hint: "thaw it, or remove it with rmdir " + dir}
	}
	return nil
}

// write writes one value. The file stays open: the next one often goes there.
func (a *Applier) write(path, value string) error {
	if path != a.path {
		a.release()
		fd, err := sys.OpenForWriting(path)
		if err != nil {
			return err
		}
		a.file, a.path = fd, path
	}
	return sys.WriteValue(a.file, value)
}

func (a *Applier) release() {
	if a.path != "" {
		sys.CloseFD(a.file)
	}
	a.path = ""
}

// Undo removes the directories that were made, the last one first. One that
// somebody has come to use in the meantime stays.
func (a *Applier) Undo() {
	for i := len(a.made) - 1; i >= 0; i-- {
		sys.RemoveDir(a.made[i])
	}
}

// inherit fills the cpuset file path from source unless it holds something.
func (a *Applier) inherit(path, source string) error {
	if a.values == nil {
		a.values = map[string]string{}
	}
	dir := path[:strings.LastIndexByte(path, '/')]
	if !a.fresh(dir) {
		if value, err := a.value(path); value != "" || err != nil {
			return err
		}
	}
	value, err := a.value(source)
	if err != nil {
		return err
	}
	if err := a.write(path, value); err != nil {
		return err
	}
	a.values[path] = value
	return nil
}

// fresh reports whether the directory was made by this run, and last.
func (a *Applier) fresh(dir string) bool {
	return len(a.made) > 0 && a.made[len(a.made)-1] == dir
}

// value returns what a cpuset file holds, without the line break.
func (a *Applier) value(path string) (string, error) {
	if v, ok := a.values[path]; ok {
		return v, nil
	}
	data, err := sys.ReadInto(make([]byte, 0, 512), path)
	value := strings.TrimRight(string(data), "\n")
	if err == nil {
		a.values[path] = value
	}
	return value, err
}

// enable writes words such as "+memory" together, and one by one where the
// kernel does not have one of them. What it refuses matters only if a limit
// needs it, and then the limit's file is missing.
//
// EBUSY is final: there are processes in the cgroup. One by one the kernel would
// take the controllers that work on threads, and for the sake of them make the
// cgroup one whose children take no processes: cgroups(7), Thread mode.
func (a *Applier) enable(path, words string) {
	err := a.write(path, words)
	if err == nil {
		return
	}
	if a.refused == nil {
		a.refused = map[string]error{}
	}
	for word := range strings.SplitSeq(words, " ") {
		reason := err
		if err == syscall.ENOENT || err == syscall.EINVAL {
			reason = a.write(path, word)
		}
		if reason != nil {
			a.refused[path+" "+word] = reason
		}
	}
}

// below refuses a limit that is less than what is in use.
func below(path, limit string) error {
	data, err := sys.ReadInto(make([]byte, 0, 64), path)
	if err != nil {
		return err
	}
	used, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return syscall.EIO
	}
	if most, err := strconv.ParseUint(limit, 10, 64); err == nil && used > most {
		return &fail.Error{Doing: "set a memory limit of " + limit + " bytes: " + strconv.FormatUint(used, 10) + " are in use",
			Hint: "raise memory.limit, or set checkBeforeUpdate to false to have the kernel make room"}
	}
	return nil
}

// attach loads a device program and attaches it. The cgroup keeps the program
// until it is removed.
func attach(dir string, program []byte) error {
	programFD, err := sys.LoadDeviceProgram(program)
	if err != nil {
		return err
	}
	defer sys.CloseFD(programFD)
	cgroupFD, err := sys.OpenDir(dir)
	if err != nil {
		return err
	}
	defer sys.CloseFD(cgroupFD)
	return sys.AttachDeviceProgram(cgroupFD, programFD)
}
