// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
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
		// Before there is a process to pass them on to, they are held.
		signal.Notify(signals)
	}
	c, err := s.Create(o)
	if err != nil {
		return 0, err
	}
	if err := c.relock(); err != nil {
		return 0, err
	}
	if err := c.start(o.Warn); err != nil {
		c.abandon(o.Warn)
		return 0, err
	}
	if o.Detach {
		c.Close()
		return 0, nil
	}
	c.Close() // others may look at it while it runs
	status, err := c.attend(signals)
	if err != nil {
		return 0, err
	}
	if !keep {
		err = s.Delete(o.ID, true, o.Warn)
	}
	if status.Signaled() {
		return 128 + int(status.Signal()), err
	}
	return status.ExitStatus(), err
}

// relock takes the lock again that Create has released.
func (c *Container) relock() error {
	if err := c.acquire(Exclusive); err != nil {
		return notExist(c.ID, err)
	}
	return nil
}

// abandon removes a container that could not be started.
func (c *Container) abandon(warn func(string, ...any)) {
	sys.Kill(c.PID, linux.SIGKILL)
	sys.Reap(c.PID)
	if err := c.destroy(warn); err != nil {
		warn("%s", fail.Reason(err))
	}
	c.Close()
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

// pass sends a signal on to the init, but for those that are our own: the end of
// a child, the Go scheduler's, and the new size of our terminal.
func (c *Container) pass(number syscall.Signal, terminal *console.Relay) {
	switch number {
	case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE:
	case syscall.SIGWINCH:
		if terminal != nil {
			terminal.Resize()
			return
		}
		sys.PidfdSignal(c.PIDFD, int(number))
	default:
		sys.PidfdSignal(c.PIDFD, int(number))
	}
}
