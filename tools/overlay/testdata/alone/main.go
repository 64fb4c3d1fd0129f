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
	"runtime/debug"
	"slices"
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
	case "file": // its finalizer has no goroutine yet
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
	case "heap":
		heap()
	case "globals": // are what a collection starts from, the first one too
		global, zeroed = new([1 << 20]int), &node{value: 1, next: &node{value: 2}}
		global[7] = 7
		for range 3 {
			runtime.GC()
			_ = make([]byte, 64<<20)
		}
		if global[7] != 7 || zeroed.value != 1 || zeroed.next.value != 2 || initialised["a"].value != 3 {
			fmt.Println("collected:", global[7], zeroed, initialised)
		}
	case "clock": // it goes on when there is a second thread
		before := time.Now()
		time.Sleep(10 * time.Millisecond)
		after := time.Now()
		if d := after.Sub(before); d < 10*time.Millisecond || d > time.Minute || after.Unix()-before.Unix() > 60 || after.Year() < 2024 {
			fmt.Println("from", before, "to", after)
		}
	case "environment":
		environment()
	case "stack":
		if n := deep(1 << 18); n != 1<<18 {
			fmt.Println(n, "calls deep")
		}
	case "streams": // are not closed by a collection
		os.Stdin, os.Stdout, os.Stderr = nil, nil, nil
		runtime.GC()
		runtime.GC()
		for fd := range 3 {
			if err := syscall.Fstat(fd, new(syscall.Stat_t)); err != nil {
				syscall.Kill(os.Getpid(), syscall.SIGABRT)
			}
		}
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

var (
	global      *[1 << 20]int
	zeroed      *node
	initialised = map[string]*node{"a": {value: 3}}
)

type node struct {
	value int
	next  *node
}

// heap fills more memory than one arena of the runtime, gives it back, and does it again.
func heap() {
	for round := range 3 {
		var pieces [40][]byte
		for i := range pieces {
			pieces[i] = make([]byte, 16<<20)
			for at := 0; at < len(pieces[i]); at += 1 << 20 {
				if pieces[i][at] != 0 {
					fmt.Println("not zero:", round, i, at)
				}
				pieces[i][at] = byte(i + round)
			}
		}
		for i := range pieces {
			for at := 0; at < len(pieces[i]); at += 1 << 20 {
				if pieces[i][at] != byte(i+round) {
					fmt.Println("overwritten:", round, i, at)
				}
			}
		}
		clear(pieces[:])
		debug.FreeOSMemory()
	}
}

// environment: the caller has set A=1 and B=2.
func environment() {
	os.Setenv("B", "4")
	os.Unsetenv("PATH")
	_, ok := os.LookupEnv("PATH")
	list := fmt.Sprint(slices.DeleteFunc(os.Environ(), func(s string) bool { return !strings.HasPrefix(s, "A=") && !strings.HasPrefix(s, "B=") }))
	if os.Getenv("A") != "1" || os.Getenv("B") != "4" || ok || list != "[A=1 B=4]" {
		fmt.Println(os.Getenv("A"), os.Getenv("B"), ok, list)
	}
}

// deep needs a stack of hundreds of megabytes.
func deep(n int) int {
	var room [8]int
	room[n%8] = 1
	if n == 0 {
		return 0
	}
	return deep(n-1) + room[n%8]
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
