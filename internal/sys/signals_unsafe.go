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

// CatchSignals makes signals come out of the descriptor that it returns, a byte
// with its number for each. Signals that the caller ignores stay ignored. It is
// to be called once.
//
// Package os/signal does the same with two more threads and with two switches
// between them for each signal, which takes longer than all the mounts of a
// container. Those of the Go runtime are not to be caught: faults, SIGURG, SIGPROF.
func CatchSignals(numbers ...int) (int, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, err
	}
	caughtFD = int32(pipe[1])
	ours := sigaction{handler(), saRestorer | saOnStack | saRestart, restorer(), ^uint64(0)}
	for _, n := range numbers {
		var old sigaction
		if err := setSignal(n, &ours, &old); err != nil {
			return -1, err
		}
		if old.handler == sigIgn {
			if err := setSignal(n, &old, nil); err != nil {
				return -1, err
			}
		}
	}
	return pipe[0], nil
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
