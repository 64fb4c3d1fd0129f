// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package probe asks the kernel what plan may know about the machine, and
// changes nothing. It knows no config: the caller names the host paths.
package probe

import (
	"bytes"
	"errors"
	"os"
	"path"
	"runtime"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/facts"
)

// Facts asks about this machine, this process and the given host paths.
//
// A path at which nothing lies gets the zero Kind. A path that cannot be looked
// at (EACCES, ELOOP, EIO) is an error: plan would take it for missing.
func Facts(files []string) (facts.Facts, error) {
	f, err := process()
	if err != nil {
		return f, err
	}
	if f.Cgroup, f.RootMounts, err = mounts(); err != nil {
		return f, err
	}
	if f.UID != 0 || f.UserNamespace { // who is root on the machine may
		f.Cgroup.Denied = denied(f.Cgroup)
	}
	err = look(&f, files)
	return f, err
}

// Runtime is [Facts] without those of mounts and cgroups.
func Runtime(files []string) (facts.Facts, error) {
	f, err := process()
	if err == nil && len(files) > 0 {
		err = look(&f, files)
	}
	return f, err
}

// process asks about this process and its kernel.
func process() (facts.Facts, error) {
	f := facts.Facts{Arch: runtime.GOARCH, UID: os.Geteuid(), GID: os.Getegid(), LastCap: sys.LastCapability()}
	var err error
	if f.Kernel, err = sys.Release(); err != nil {
		return f, &fail.Error{Doing: "ask for the kernel's release", Err: err}
	}
	if f.Capabilities, err = sys.PermittedCapabilities(); err != nil {
		return f, &fail.Error{Doing: "ask for the runtime's capabilities", Err: err}
	}
	if f.HardLimits, err = sys.HardLimits(); err != nil {
		return f, &fail.Error{Doing: "ask for the runtime's limits", Err: err}
	}
	if f.UserNamespace, err = UserNamespace(); err != nil {
		return f, err
	}
	if f.UserNamespace {
		text, _ := sys.ReadInto(make([]byte, 0, 16), "/proc/self/setgroups")
		f.NoGroups = bytes.HasPrefix(text, []byte("deny"))
	}
	return f, nil
}

// look asks about host paths.
func look(f *facts.Facts, files []string) (err error) {
	if f.Files, err = kinds(files); err == nil && f.Files[appArmor].Mode != 0 {
		f.Confined, err = confined()
	}
	return err
}

// appArmor is a path that is asked for if a profile is wanted.
const appArmor = "/sys/kernel/security/apparmor"

// confined tells whether this process has an AppArmor profile that it cannot leave.
func confined() (bool, error) {
	label, err := sys.ReadInto(nil, "/proc/self/attr/apparmor/current")
	if err != nil {
		return false, &fail.Error{Doing: "ask for the runtime's AppArmor profile", Err: err}
	}
	return string(bytes.TrimSpace(label)) != "unconfined", nil
}

// UserNamespace tells whether this process is in a user namespace that is not the
// machine's first, which the kernel makes with a number that it keeps free.
func UserNamespace() (bool, error) {
	const first = "user:[4026531837]" // PROC_USER_INIT_INO
	user, err := sys.ReadlinkAt(linux.AT_FDCWD, "/proc/self/ns/user")
	if err != nil {
		return false, &fail.Error{Doing: "ask for the runtime's user namespace", Err: err}
	}
	return user != first, nil
}

// denied tells whether a directory cannot be made where a container's cgroup goes
// that the config does not place: beside the runtime's own in v2, in it in v1.
func denied(c facts.Cgroup) bool {
	for _, h := range c.V1 {
		if !sys.Writable(path.Join(h.Mount, h.Own)) {
			return true
		}
	}
	return c.V2 != nil && !sys.Writable(path.Join(c.V2.Mount, path.Dir(path.Clean("/"+c.V2.Own))))
}

// kinds looks at host paths, and at what they are named for in an image. What
// cannot be looked at in an image is unknown: mounting on it will say why.
func kinds(paths []string) (map[string]facts.Kind, error) {
	found := make(map[string]facts.Kind, len(paths))
	for _, path := range paths {
		root, name, inImage := facts.CutImage(path)
		var kind facts.Kind
		var err error
		if inImage {
			kind, err = lookIn(root, name)
		} else {
			kind, err = kindOf(linux.AT_FDCWD, path)
		}
		switch {
		case err == nil, errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
			found[path] = kind
		case !inImage:
			return nil, &fail.Error{Doing: "look at a host path", Err: err}
		}
	}
	return found, nil
}

func lookIn(root, name string) (facts.Kind, error) {
	fd, err := sys.Open(root, linux.O_PATH|linux.O_DIRECTORY)
	if err != nil {
		return facts.Kind{}, err
	}
	defer sys.Close(fd)
	return kindOf(fd, name)
}

func kindOf(dir int, name string) (k facts.Kind, err error) {
	k.Mode, k.Rdev, k.Link, err = sys.Look(dir, name)
	return k, err
}
