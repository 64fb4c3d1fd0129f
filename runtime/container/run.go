// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"slices"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/console"
	"github.com/coracle-oci/coracle/runtime/launch"
)

// Run creates a container and starts it; unless it is detached it waits for the
// end, deletes the container unless keep says otherwise, and returns the exit
// status: 128 + N after signal N.
func (s Store) Run(o Options, keep bool) (int, error) {
	signals := -1
	var notify *notifier
	var begin beginning
	o.start = true
	o.last = func(c *Container) (err error) {
		// A signal that comes before ends coracle, whatever it waits for, and with it
		// what has been made; Store.make says what becomes of the rest.
		if !o.Detach {
			if signals, err = sys.CatchSignals(passedOn()...); err != nil {
				return &fail.Error{Doing: "set up signals", Err: err}
			}
		}
		if c.Master >= 0 {
			console.Size(c.Master)
		}
		if notify, err = c.notifier(o.NotifySocket); err != nil {
			return err
		}
		if c.starts {
			begin, err = c.ready()
		} else {
			begin, err = c.connect()
		}
		return err
	}
	defer func() { notify.Close() }()
	c, err := s.Create(o)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if c.starts {
		begin.conn = c.gate
	}
	o.Trace.Phase("exec")
	if err := c.begin(begin); err != nil {
		c.abandon(o.Warn)
		return 0, err
	}
	c.Close() // others may look at it, and delete it, while it runs
	if o.Detach {
		return 0, c.awaitReady(notify, c.PIDFD)
	}
	o.Trace.Phase("the program")
	status, err := attend(c.ID, c.PID, c.PIDFD, c.Master, signals, notify)
	if err != nil {
		return 0, err
	}
	o.Trace.Phase("delete")
	if keep {
		s.keep(o.ID, c.ended(status))
	} else {
		err = c.tidy(o.Warn)
	}
	return code(status), err
}

// passedOn returns the signals that run passes on to the container's init. Some
// inits take real-time signals, signal(7), for orders.
func passedOn() []int {
	list := []int{}
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGALRM, syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGWINCH} {
		list = append(list, int(s))
	}
	const first, last = 34, 64
	for n := first; n <= last; n++ {
		list = append(list, n)
	}
	return list
}

// tidy removes the container after its end, unless somebody else did.
func (c *Container) tidy(warn func(string, ...any)) error {
	switch err := c.acquire(Exclusive); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return notExist(c.ID, err)
	}
	return c.clear(warn)
}

// abandon removes a container that could not be started.
func (c *Container) abandon(warn func(string, ...any)) {
	sys.Kill(c.PID, linux.SIGKILL)
	sys.Reap(c.PID)
	if err := c.clear(warn); err != nil {
		warn("%s", fail.Reason(err))
	}
}

// attend passes on signals and the terminal to a child of ours until it has ended.
func attend(id string, pid, pidFD, master, signals int, notify *notifier) (syscall.WaitStatus, error) {
	terminal, disconnect, err := connect(master, signals)
	if err != nil {
		sys.Kill(pid, linux.SIGKILL)
		sys.Reap(pid)
		return 0, err
	}
	defer disconnect()
	for {
		ready, err := sys.Wait(-1, signals, notify.fd(), pidFD)
		if err != nil {
			return 0, &fail.Error{Where: id, Doing: "wait for its end", Err: err}
		}
		if ready == 1 {
			notify.pass(os.Getpid()) // the service is what waits for the container
			continue
		} else if ready == 2 {
			break
		}
		for _, number := range sys.Caught(signals) {
			pass(int(number), pidFD, terminal)
		}
	}
	status, err := sys.Reap(pid)
	if err != nil {
		return 0, &fail.Error{Where: id, Doing: "wait for its end", Err: err}
	}
	return syscall.WaitStatus(status), nil
}

// connect relays our standard streams and the terminal of a container, if we have
// its master. Ours, if it is a terminal too, is restored also when we are killed.
func connect(master, signals int) (terminal *console.Relay, disconnect func(), err error) {
	if master < 0 {
		return nil, func() {}, nil
	}
	var guard *launch.Guard
	if settings, err := sys.Settings(0); err == nil {
		guard, _ = launch.GuardTerminal(settings) // without it there still is the relay's own care
	}
	if terminal, err = console.Connect(master); err != nil {
		guard.Close()
		return nil, nil, err
	}
	return terminal, func() {
		terminal.Close(func() bool { return toEnd(signals) })
		guard.Close()
	}, nil
}

// toEnd tells whether a signal has come that asks us to end.
func toEnd(signals int) bool {
	if ready, err := sys.Wait(0, signals); err != nil || ready < 0 {
		return false
	}
	return slices.ContainsFunc(sys.Caught(signals), func(n byte) bool { return slices.Contains(askedToEnd[:], int(n)) })
}

// pass sends a signal on, but for the new size of our terminal: the container's
// terminal tells of that itself.
func pass(number, pidFD int, terminal *console.Relay) {
	if number == int(syscall.SIGWINCH) && terminal != nil {
		terminal.Resize()
		return
	}
	sys.PidfdSignal(pidFD, number)
}
