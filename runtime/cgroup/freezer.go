// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cgroup

import (
	"bytes"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// Freeze stops all processes of the container where they are, and returns when
// all of them stand still. When that cannot be had, it thaws them again.
//
// The freezer of v2 is preferred also where v1 has one: frozen processes can be
// killed there, and it gives notice.
func Freeze(dirs []string) error {
	for _, f := range []struct {
		file   string
		freeze func(dir string) error
	}{{"cgroup.freeze", freezeV2}, {"freezer.state", freezeV1}} {
		for _, dir := range dirs {
			err := writeFile(dir+"/"+f.file, "")
			if err == syscall.ENOENT {
				continue
			}
			if err := f.freeze(dir); err != nil {
				Thaw(dirs)
				return &fail.Error{Doing: "freeze " + dir, Err: err}
			}
			return nil
		}
	}
	return &fail.Error{Doing: "freeze the container: it is in no cgroup with a freezer", Hint: "mount cgroup v2, or the freezer controller of v1"}
}

func freezeV2(dir string) error {
	if err := writeFile(dir+"/cgroup.freeze", "1"); err != nil {
		return err
	}
	// Who is killed while being frozen never stands still.
	found, err := awaitEvent(dir, patience, "frozen 1\n", "populated 0\n")
	if err == nil && found > 0 {
		err = syscall.ESRCH
	}
	return err
}

// freezeV1 writes FROZEN until all have stopped: v1 gives no notice, and a fork
// in the meantime needs the next write.
func freezeV1(dir string) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if err := writeFile(dir+"/freezer.state", "FROZEN"); err != nil {
			return err
		}
		state, err := sys.ReadInto(make([]byte, 0, 64), dir+"/freezer.state")
		if err != nil {
			return err
		}
		if bytes.HasPrefix(state, []byte("FROZEN")) {
			return nil
		}
	}
	return syscall.ETIMEDOUT
}

// Thaw lets all processes of the container go on.
func Thaw(dirs []string) error {
	for _, dir := range dirs {
		for _, f := range []struct{ file, value string }{{"/cgroup.freeze", "0"}, {"/freezer.state", "THAWED"}} {
			if err := writeFile(dir+f.file, f.value); err != nil && err != syscall.ENOENT && err != syscall.ENODEV {
				return &fail.Error{Doing: "thaw " + dir, Err: err}
			}
		}
	}
	return nil
}

// Frozen reports whether the container is frozen, or about to be. It is asked for
// every container of a list, so it opens no more files than have to be: the
// directory of v2 is the last one, and the freezer of v1 has its name in the path
// wherever it is mounted as usual.
func Frozen(dirs []string) (bool, error) {
	usual := slices.ContainsFunc(dirs, namesFreezer)
	for i, dir := range dirs {
		if usual && i < len(dirs)-1 && !namesFreezer(dir) {
			continue
		}
		frozen, err := isFrozen(dir)
		if err != nil {
			return false, &fail.Error{Doing: "ask whether " + dir + " is frozen", Err: err}
		}
		if frozen {
			return true, nil
		}
	}
	return false, nil
}

func namesFreezer(dir string) bool { return strings.Contains(dir, "freezer") }

// isFrozen asks one directory, which need not have a freezer.
func isFrozen(dir string) (bool, error) {
	files := [2]struct{ name, thawed string }{{"/cgroup.freeze", "0"}, {"/freezer.state", "THAWED"}}
	if namesFreezer(dir) { // it has the other one, and none has both
		files[0], files[1] = files[1], files[0]
	}
	for _, f := range files {
		state, err := sys.ReadLine(make([]byte, 0, 64), dir+f.name)
		if err == nil {
			return !bytes.HasPrefix(state, []byte(f.thawed)), nil
		}
		if err != syscall.ENOENT && err != syscall.ENODEV {
			return false, err
		}
	}
	return false, nil
}

// AwaitThaw waits until a container goes on that v2 has frozen; it tells whether that
// was it, or stop is readable or the time is over (none: for ever). v1 gives no notice;
// there, whoever joins the container meanwhile stands still with it.
func AwaitThaw(dirs []string, stop int, left time.Duration) (thawed bool, err error) {
	for _, dir := range dirs {
		thawed, err := awaitThaw(dir, stop, left)
		switch {
		case err == syscall.ENOENT || err == syscall.ENODEV:
		case err != nil:
			return false, &fail.Error{Doing: "wait for " + dir + " to be thawed", Err: err}
		case !thawed:
			return false, nil
		}
	}
	return true, nil
}

func awaitThaw(dir string, stop int, left time.Duration) (thawed bool, err error) {
	fd, err := sys.OpenFile(dir + "/cgroup.events")
	if err != nil {
		return false, err
	}
	defer sys.CloseFD(fd)
	for {
		events, err := sys.ReadAt(fd, 128)
		if err != nil || !bytes.Contains(events, []byte("frozen 1\n")) {
			return err == nil, err
		}
		waiting := []linux.PollFd{{Fd: int32(fd), Events: linux.POLLPRI}, {Fd: int32(stop), Events: linux.POLLIN}}
		if ready, err := sys.Poll(left, waiting); err != nil || ready == 0 || waiting[1].Revents != 0 {
			return false, err
		}
	}
}

// awaitEvent waits until the cgroup.events of a v2 directory has one of the lines,
// and returns which: the first one if there are several.
func awaitEvent(dir string, timeout time.Duration, lines ...string) (int, error) {
	deadline := time.Now().Add(timeout)
	for {
		fd, err := sys.OpenFile(dir + "/cgroup.events")
		if err != nil {
			return 0, err
		}
		events, err := sys.ReadRest(make([]byte, 0, 128), fd)
		left := time.Until(deadline)
		found := slices.IndexFunc(lines, func(line string) bool { return bytes.Contains(events, []byte(line)) })
		if err == nil && found < 0 && left > 0 {
			err = sys.AwaitNotice(fd, left)
		}
		sys.CloseFD(fd)
		switch {
		case err != nil:
			return 0, err
		case found >= 0:
			return found, nil
		case left <= 0:
			return 0, syscall.ETIMEDOUT
		}
	}
}

// writeFile writes one value; an empty one only opens the file.
func writeFile(path, value string) error {
	fd, err := sys.OpenForWriting(path)
	if err != nil {
		return err
	}
	defer sys.CloseFD(fd)
	if value == "" {
		return nil
	}
	return sys.WriteValue(fd, value)
}
