// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/console"
)

// Run creates a container and starts it; unless it is detached it waits for the
// end, deletes the container unless keep says otherwise, and returns the exit
// status: 128 + N after signal N.
func (s Store) Run(o Options, keep bool) (int, error) {
	signals := make(chan os.Signal, 64)
	if !o.Detach {
		// To set up signals costs Go a dozen switches between threads: that is
		// done while the launch program makes namespaces. A signal that comes
		// before ends coracle, and with it what has been made; Store.make says
		// what becomes of the rest.
		o.Meanwhile = func() {
			signal.Notify(signals, passedOn...)
			for number := rtMin; number <= rtMax; number++ {
				signal.Notify(signals, number)
			}
		}
	}
	c, err := s.Create(o)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if c.Master >= 0 {
		console.Size(c.Master)
	}
	if err := c.start(); err != nil {
		c.abandon(o.Warn)
		return 0, err
	}
	if o.Detach {
		return 0, nil
	}
	c.Close() // others may look at it, and delete it, while it runs
	status, err := c.attend(signals)
	if err != nil {
		return 0, err
	}
	if keep {
		s.keep(o.ID, c.ended(status))
	} else {
		err = c.tidy(o.Warn)
	}
	return code(status), err
}

// passedOn is the signals that run passes on to the container's init.
var passedOn = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2,
	syscall.SIGALRM, syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGWINCH}

// Real-time signals are passed on too: some inits take them for orders, signal(7).
const rtMin, rtMax = syscall.Signal(34), syscall.Signal(64)

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

// attend passes on signals and the terminal until the init has ended.
func (c *Container) attend(signals chan os.Signal) (syscall.WaitStatus, error) {
	var terminal *console.Relay
	if c.Master >= 0 {
		var err error
		if terminal, err = console.Connect(c.Master); err != nil {
			sys.Kill(c.PID, linux.SIGKILL)
			sys.Reap(c.PID)
			return 0, err
		}
		defer terminal.Close()
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case got := <-signals:
				if number, ok := got.(syscall.Signal); ok {
					c.pass(number, terminal)
				}
			case <-done:
				return
			}
		}
	}()
	status, err := sys.Reap(c.PID)
	close(done)
	if err != nil {
		return 0, &fail.Error{Where: c.ID, Doing: "wait for its end", Err: err}
	}
	return syscall.WaitStatus(status), nil
}

// pass sends a signal on to the init, but for the new size of our terminal: the
// container's terminal tells of that itself.
func (c *Container) pass(number syscall.Signal, terminal *console.Relay) {
	if number == syscall.SIGWINCH && terminal != nil {
		terminal.Resize()
		return
	}
	sys.PidfdSignal(c.PIDFD, int(number))
}
