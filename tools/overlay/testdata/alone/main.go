// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Command alone does what its first argument says in a process whose main goroutine
// was alone until then.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	first := threads()
	switch os.Args[1] {
	case "file": // a finalizer's goroutine is none
		os.Open("/dev/null")
		if now := threads(); now != 1 {
			fmt.Println("threads after an open:", now)
		}
	case "timer": // its function runs while main is in a system call
		fds := pipe()
		time.AfterFunc(time.Millisecond, func() { syscall.Write(fds[1], []byte("x")) })
		read(fds)
	case "goroutine": // it runs while main is in a system call
		fds := pipe()
		go syscall.Write(fds[1], []byte("x"))
		read(fds)
	case "loop": // main is preempted
		var done atomic.Bool
		go done.Store(true)
		for !done.Load() {
		}
	case "garbage":
		garbage()
	case "init": // a goroutine of a package's init, which has waited for it
		if !begun {
			fmt.Println("the goroutine of init has not run")
		}
		return
	case "signal": // that os/signal is told to catch, and is told no more
		caught := strings.Count(bits(status("SigCgt")), "1")
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGUSR1)
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		if s := <-signals; s != syscall.SIGUSR1 {
			fmt.Println("caught", s)
		}
		if signal.Reset(); caught > 7 {
			fmt.Println(caught, "signals have handlers at the start")
		}
	case "fault": // is a panic
		defer func() {
			if err, ok := recover().(runtime.Error); !ok {
				fmt.Println("recovered", err)
			}
		}()
		var nobody *struct{ name string }
		fmt.Println(nobody.name)
	case "deadlock":
		select {}
	}
	if first != 1 {
		fmt.Println("threads at the start of main:", first)
	}
}

var begun bool

func init() {
	if os.Args[1] == "init" {
		begin := make(chan bool)
		go func() { begin <- true }()
		begun = <-begin
	}
}

// garbage keeps eight goroutines allocating for dozens of collections.
func garbage() {
	var finalized atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			var keep [64][]byte
			for i := range 20000 {
				keep[i%len(keep)] = make([]byte, 4096)
				if i%1000 == 0 {
					runtime.SetFinalizer(&keep[i%len(keep)][0], func(*byte) { finalized.Add(1) })
				}
			}
		})
	}
	all.Wait()
	for end := time.Now().Add(10 * time.Second); finalized.Load() < 100 && time.Now().Before(end); {
		runtime.GC()
	}
	runtime.GC() // between two collections there may be any amount of garbage
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	if stats.NumGC < 10 || stats.HeapAlloc > 64<<20 || finalized.Load() < 100 {
		fmt.Println("collections, bytes, finalizers:", stats.NumGC, stats.HeapAlloc, finalized.Load())
	}
}

func pipe() (fds [2]int) {
	if err := syscall.Pipe(fds[:]); err != nil {
		fmt.Println(err)
	}
	return fds
}

func read(fds [2]int) {
	if n, err := syscall.Read(fds[0], make([]byte, 1)); n != 1 {
		fmt.Println(n, err)
	}
}

func threads() (n int) {
	fmt.Sscan(status("Threads"), &n)
	return n
}

func status(field string) string {
	text, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(text), "\n"+field+":\t")
	value, _, _ := strings.Cut(after, "\n")
	return value
}

func bits(hex string) string {
	n, _ := strconv.ParseUint(hex, 16, 64)
	return strconv.FormatUint(n, 2)
}
