// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cgroup

import (
	"errors"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
)

// Read returns what a file of a cgroup holds, "" if there is none.
func Read(path string) string {
	data, err := sys.ReadInto(make([]byte, 0, 512), path)
	if err != nil {
		return ""
	}
	return string(data)
}

// Update changes limits of a cgroup that is in use, and reads back whether the
// kernel has taken them. When one cannot be had, those before it are put back.
func Update(ops []resources.Op) error {
	a := Applier{}
	defer a.release()
	var done []change
	for _, o := range ops {
		c, err := a.change(o)
		if err == nil && c.op.Path != "" {
			done = append(done, c)
			if now := Read(c.op.Path); !c.op.Took(now) {
				err = &fail.Error{Where: where(o), Doing: c.op.String() + ": the kernel has " + strings.TrimSpace(now) + " instead"}
			}
		}
		if err != nil {
			a.putBack(done)
			return err
		}
	}
	return nil
}

// A change is a write that was done, and what was there before.
type change struct {
	op     resources.Op
	before string
}

// change does one operation. Where it has an alternative, what was done is that.
func (a *Applier) change(o resources.Op) (change, error) {
	if o.Kind != resources.Write && o.Kind != resources.WritePresent {
		return change{}, a.do(o)
	}
	c := change{o, Read(o.Path)}
	switch err := a.write(o.Path, o.Value); {
	case err == nil:
		return c, nil
	case err == syscall.ENOENT && o.Or != nil:
		return a.change(*o.Or)
	case err == syscall.ENOENT && o.Kind == resources.WritePresent:
		return change{}, nil
	default:
		return c, &fail.Error{Where: where(o), Doing: o.String() + inUse(o, err), Err: err, Hint: a.updateHint(o, err)}
	}
}

// inUse says how much memory is, where that is why a limit was refused.
func inUse(o resources.Op, err error) string {
	dir, file := path.Split(o.Path)
	if err != syscall.EBUSY || !strings.HasPrefix(file, "memory.") {
		return ""
	}
	return ": " + strings.TrimSpace(Read(dir+strings.Replace(file, "limit_in_bytes", "usage_in_bytes", 1))) + " bytes are in use"
}

func (a *Applier) updateHint(o resources.Op, err error) string {
	if errors.Is(err, syscall.EINVAL) && path.Base(o.Path) == "memory.limit_in_bytes" {
		sum := strings.TrimSpace(Read(path.Dir(o.Path) + "/memory.memsw.limit_in_bytes"))
		return "the limit of memory and swap together is " + sum + ": raise that too"
	}
	if dir, file := path.Split(o.Path); errors.Is(err, syscall.ENOENT) {
		controller, _, _ := strings.Cut(file, ".")
		enabled, readErr := sys.ReadInto(nil, dir+"cgroup.controllers")
		if readErr == nil && !slices.Contains(strings.Fields(string(enabled)), controller) {
			return "the controller " + controller + " is not enabled for the container: its parent cgroups do not pass it on; see cgroup.subtree_control there"
		}
	}
	return a.hint(o, err)
}

// putBack undoes changes, the last one first. What the kernel does not take back
// stays: there is nothing better to do, and the error to report is another one.
func (a *Applier) putBack(done []change) {
	for i := len(done) - 1; i >= 0; i-- {
		_ = a.write(done[i].op.Path, done[i].op.Undo(done[i].before))
	}
}
