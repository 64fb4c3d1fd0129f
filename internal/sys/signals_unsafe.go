// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// caughtFD is where the signal handler writes. It is the only variable of this
// package: a handler has no other way to know.
var caughtFD int32

// handler and restorer return the addresses of the signal handler, which writes
// the signal's number to caughtFD, and of what it returns to.
func handler() uintptr
func restorer() uintptr

// A sigaction is the kernel's struct, rt_sigaction(2).
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

const (
	saRestorer = 0x4000000
	saOnStack  = 0x8000000 // the handler runs on the alternate stack that Go gives each thread
	saRestart  = 0x10000000
	sigIgn     = 1
)

// Signals are some that come out of a descriptor, for a time.
type Signals struct {
	FD       int
	before   int32 // where they came out until then; 0: they did not
	replaced []replaced
}

type replaced struct {
	number int
	action sigaction
}

// HoldSignals makes signals come out of a descriptor, a byte with its number for
// each, until they are released. Signals that the caller ignores stay ignored.
//
// Package os/signal does the same with two more threads and with two switches
// between them for each signal, which takes longer than all the mounts of a
// container. Those of the Go runtime are not to be caught: faults, SIGURG, SIGPROF.
func HoldSignals(numbers ...int) (*Signals, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	s := &Signals{FD: pipe[0], before: caughtFD, replaced: make([]replaced, 0, len(numbers))}
	caughtFD = int32(pipe[1])
	ours := sigaction{handler(), saRestorer | saOnStack | saRestart, restorer(), ^uint64(0)}
	for _, n := range numbers {
		var old sigaction
		if err := setSignal(n, &ours, &old); err != nil {
			return nil, err
		}
		if old.handler != sigIgn {
			s.replaced = append(s.replaced, replaced{n, old})
		} else if err := setSignal(n, &old, nil); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Release lets the signals do what they did before. Those of unused, and those
// that have come out and were not asked for, do so at once.
func (s *Signals) Release(unused ...byte) {
	if s == nil || s.FD < 0 {
		return
	}
	for i := range s.replaced {
		_ = setSignal(s.replaced[i].number, &s.replaced[i].action, nil) // it was in force
	}
	caughtFD = s.before
	unused = append(unused, Caught(s.FD)...)
	unix.Close(s.FD) // and not the other end: a handler may be about to write to it
	s.FD = -1
	for _, number := range unused {
		unix.Kill(unix.Getpid(), unix.Signal(number))
	}
}

// CatchSignals is HoldSignals to the end of the program.
func CatchSignals(numbers ...int) (int, error) {
	s, err := HoldSignals(numbers...)
	if err != nil {
		return -1, err
	}
	return s.FD, nil
}

// Caught returns the numbers of the signals that have come out of fd by now.
func Caught(fd int) []byte {
	numbers := make([]byte, 64)
	n, _ := unix.Read(fd, numbers)
	return numbers[:max(n, 0)]
}

func setSignal(number int, to, old *sigaction) error {
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number), uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(old)), 8, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
