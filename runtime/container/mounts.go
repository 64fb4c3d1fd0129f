// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/launch"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// cloneTree copies mounts of the host and sets what the config says on the copy,
// which is nowhere yet.
func (m *maker) cloneTree(h *plan.HostStep) (int, error) {
	fd, err := sys.CloneTree(h.Path, h.Recursive, h.NoFollow)
	if err != nil {
		return -1, err
	}
	return m.setAttrs(fd, h)
}

// setAttrs sets a step's attributes on its mount. It closes it on failure.
func (m *maker) setAttrs(fd int, h *plan.HostStep) (int, error) {
	for i := range h.Attrs {
		a := &h.Attrs[i]
		err := error(nil)
		if a.IDMap != nil {
			err = m.mapIDs(fd, h, a)
		} else {
			err = sys.MountSetattr(fd, a.Recursive, sys.MountAttr{Set: a.Set, Clear: a.Clear, Propagation: a.Propagation})
			if errors.Is(err, syscall.EPERM) {
				err = m.keepLocked(fd, h, a)
			}
		}
		if err != nil {
			sys.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}

// keepLocked sets what may be set on a mount of a more privileged mount namespace:
// there, flags that restrict cannot be taken away, and how access times are kept
// cannot be changed (mount_namespaces(7)). The mount stays more restricted than
// asked for, which is a warning.
func (m *maker) keepLocked(fd int, h *plan.HostStep, a *plan.MountAttr) error {
	const atime = linux.MOUNT_ATTR__ATIME
	has, err := sys.MountFlags(fd)
	if err != nil {
		return err
	}
	attr := sys.MountAttr{Set: a.Set &^ atime, Clear: a.Clear &^ (has | atime), Propagation: a.Propagation}
	if attr.Set == a.Set && attr.Clear == a.Clear {
		return syscall.EPERM
	}
	if err := sys.MountSetattr(fd, a.Recursive, attr); err != nil {
		return err
	}
	m.options.Warn("%s: %s: the flags of %s are locked, as it is of a more privileged mount namespace; it stays as it is", where(h.From), a.Text, h.Path)
	return nil
}

// mapIDs maps the ids of a mount: mount_setattr(2), "ID-mapped mounts".
func (m *maker) mapIDs(fd int, h *plan.HostStep, a *plan.MountAttr) error {
	userns, err := m.userNamespace(a)
	if err != nil {
		return &fail.Error{Where: idmapWhere(h, a), Doing: "make a user namespace for " + a.Text, Err: err}
	}
	err = sys.MountSetattr(fd, a.Recursive, sys.MountAttr{Set: linux.MOUNT_ATTR_IDMAP, UsernsFD: uint64(userns)})
	if err == nil {
		return nil
	}
	e := &fail.Error{Where: idmapWhere(h, a), Doing: "map the ids of " + h.Path, Err: err}
	if h.FS != nil {
		e.Doing = "map the ids of " + h.FS.Type
	}
	switch {
	case errors.Is(err, syscall.EINVAL):
		e.Hint = "its file system does not allow it, in this kernel"
	case errors.Is(err, syscall.EPERM):
		e.Hint = "it has a mapping already, or coracle does not control its file system"
	}
	return e
}

// idmapWhere is the option that asks for a mapping.
func idmapWhere(h *plan.HostStep, a *plan.MountAttr) string {
	field := strings.TrimSuffix(h.From, ".source")
	if a.IDMap.Option < 0 {
		return where(field + ".uidMappings")
	}
	return where(field + ".options[" + itoa(a.IDMap.Option) + "]")
}

// userNamespace returns the user namespace that describes a mapping.
func (m *maker) userNamespace(a *plan.MountAttr) (int, error) {
	if fd, ok := m.userns[a.Text]; ok {
		return fd, nil
	}
	var fd int
	var err error
	if a.IDMap.Namespace != "" {
		fd, err = sys.Open(a.IDMap.Namespace, linux.O_RDONLY)
	} else {
		fd, err = launch.UserNamespace(idMap(a.IDMap.UIDs), idMap(a.IDMap.GIDs))
	}
	if err != nil {
		return -1, err
	}
	if m.userns == nil {
		m.userns = map[string]int{}
	}
	m.userns[a.Text] = fd
	return fd, nil
}

func idMap(list []specs.LinuxIDMapping) []syscall.SysProcIDMap {
	all := make([]syscall.SysProcIDMap, len(list))
	for i, m := range list {
		all[i] = syscall.SysProcIDMap{ContainerID: int(m.ContainerID), HostID: int(m.HostID), Size: int(m.Size)}
	}
	return all
}

// makeFS makes a file system that is the parent's to make.
func (m *maker) makeFS(h *plan.HostStep) (int, error) {
	context, err := sys.OpenFS(h.FS.Type)
	if err != nil {
		return -1, err
	}
	defer context.Close()
	for _, p := range h.FS.Parameters {
		err := error(nil)
		if p.Flag {
			err = context.SetFlag(p.Key)
		} else {
			err = context.Set(p.Key, p.Value)
		}
		if err != nil && !(p.Optional && errors.Is(err, syscall.EINVAL)) {
			return -1, &fail.Error{Where: where(h.From + ".options"), Doing: "set " + p.String(), Err: err}
		}
	}
	if err := context.Create(); err != nil {
		return -1, &fail.Error{Where: where(h.From), Doing: "create " + h.FS.Type, Err: err, Hint: hintFor("create ", err)}
	}
	fd, err := context.Mount(h.FS.Set)
	if err != nil {
		return -1, err
	}
	if h.FS.CopyUp != "" {
		if err := copyUp(fd, h.FS); err != nil {
			sys.Close(fd)
			return -1, &fail.Error{Where: where(h.From + ".options"), Doing: "copy /" + h.FS.CopyUp + " of the image into " + h.FS.Type, Err: err}
		}
	}
	return m.setAttrs(fd, h)
}

// cloneDevice copies the mount of a device node and makes sure that it is the
// device that it should be, by the descriptor (CVE-2025-31133).
func cloneDevice(h *plan.HostStep) (int, error) {
	fd, err := sys.CloneTree(h.Path, false, false)
	if err != nil {
		return -1, err
	}
	mode, rdev, err := sys.Fstat(fd)
	if err == nil && (mode&linux.S_IFMT != h.Mode || rdev != h.Rdev) {
		err = &fail.Error{Doing: h.Doing + ": it is not the device that its name promises"}
	}
	if err != nil {
		sys.Close(fd)
		return -1, err
	}
	return fd, nil
}
