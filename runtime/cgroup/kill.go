// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cgroup

import (
	"strconv"
	"syscall"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
)

// Kill sends a signal to all processes of the container.
//
// SIGKILL reaches also those that are forked in the meantime: v2 does that
// itself (cgroup.kill). On v1 the list is read again until it holds nobody new,
// with forking forbidden where there is a pids controller. For other signals the
// container is frozen meanwhile, so that nobody is born without having got it.
func Kill(dirs []string, signal syscall.Signal) error {
	if signal != syscall.SIGKILL {
		return signalFrozen(dirs, signal)
	}
	for _, dir := range dirs {
		switch err := writeFile(dir+"/cgroup.kill", "1"); err {
		case nil:
			return nil
		case syscall.ENOENT, syscall.ENODEV: // v1, or gone
		case syscall.EOPNOTSUPP: // a threaded cgroup
		default:
			return &fail.Error{Doing: "kill the processes of " + dir, Err: err}
		}
	}
	return killV1(dirs)
}

// signalFrozen signals all processes while they stand still. Where they cannot be
// frozen, those get the signal that are there now.
func signalFrozen(dirs []string, signal syscall.Signal) error {
	pids, err := Pids(dirs)
	if err != nil || len(pids) == 0 {
		return err
	}
	if frozen, err := Frozen(dirs); err == nil && !frozen && Freeze(dirs) == nil {
		defer Thaw(dirs)
		if pids, err = Pids(dirs); err != nil {
			return err
		}
	}
	_, err = signalNew(pids, signal, map[int]bool{})
	return err
}

// killV1 kills until the list holds nobody who was not killed yet.
func killV1(dirs []string) error {
	for _, dir := range dirs {
		// Forks fail from here on; that is an aid against fork bombs only, and
		// no error where it is not to be had.
		_ = writeFile(dir+"/pids.max", "0")
	}
	killed := map[int]bool{}
	for deadline := time.Now().Add(patience); ; {
		pids, err := Pids(dirs)
		if err != nil {
			return err
		}
		news, err := signalNew(pids, syscall.SIGKILL, killed)
		if err != nil || !news {
			return err
		}
		if time.Now().After(deadline) {
			return &fail.Error{Doing: "kill the processes of the container: they fork faster than they can be killed",
				Hint: "mount cgroup v2 or the pids controller, which can stop that"}
		}
	}
}

// signalNew sends the signal to those who are not in done, adds them, and
// reports whether there were any.
func signalNew(pids []int, signal syscall.Signal, done map[int]bool) (bool, error) {
	news := false
	for _, pid := range pids {
		if done[pid] {
			continue
		}
		done[pid], news = true, true
		if err := syscall.Kill(pid, signal); err != nil && err != syscall.ESRCH {
			return news, &fail.Error{Doing: "send signal " + strconv.Itoa(int(signal)) + " to process " + strconv.Itoa(pid), Err: err}
		}
	}
	return news, nil
}
