// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package systemd

import (
	"errors"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/cgroup/unit"
	"github.com/coracle-oci/coracle/runtime/dbus"
)

const where = "config.json linux.cgroupsPath"

// Names of errors: systemd's bus-common-errors.h.
const (
	unitExists = service + ".UnitExists"
	noSuchUnit = service + ".NoSuchUnit"
	notLoaded  = service + ".UnitNotLoaded"
)

// Start starts a scope with a process in it, and returns when the process is there.
func (b *Bus) Start(name string, properties []unit.Property, pid int) error {
	list := []any{[]any{"PIDs", dbus.PIDs(pid)}}
	for _, p := range properties {
		list = append(list, []any{p.Name, p.Value})
	}
	start := func() ([]any, error) {
		return b.manager("StartTransientUnit", "ssa(sv)a(sa(sv))", name, "replace", list, []any{})
	}
	job, err := start()
	if isFailure(err, unitExists) && b.forget(name) == nil { // one that failed may still be known
		job, err = start()
	}
	if err == nil {
		err = b.await(job)
	}
	if err != nil {
		e := b.failed("start the scope "+name, err)
		if isFailure(err, unitExists) {
			e.Hint = "another container has this name; see systemctl status " + name
		}
		return e
	}
	return nil
}

// Stop stops a unit, which removes its cgroups, and has systemd forget it. One that
// does not exist, as it goes with its last process, is no error.
func (b *Bus) Stop(name string) error {
	job, err := b.manager("StopUnit", "ss", name, "replace")
	if err == nil {
		err = b.await(job)
	}
	if err == nil || isFailure(err, noSuchUnit, notLoaded) {
		err = b.forget(name)
	}
	if err != nil {
		return b.failed("stop the scope "+name, err)
	}
	return nil
}

// forget has systemd forget that a unit has failed.
func (b *Bus) forget(name string) error {
	_, err := b.manager("ResetFailedUnit", "s", name)
	if isFailure(err, noSuchUnit, notLoaded) {
		return nil
	}
	return err
}

// Set changes properties of a unit, until it is stopped.
func (b *Bus) Set(name string, properties []unit.Property) error {
	list := make([]any, len(properties))
	for i, p := range properties {
		list[i] = []any{p.Name, p.Value}
	}
	if _, err := b.manager("SetUnitProperties", "sba(sv)", name, true, list); err != nil {
		return b.failed("change the scope "+name, err)
	}
	return nil
}

// ControlGroup returns the cgroup that the manager's slices are below.
func (b *Bus) ControlGroup() (string, error) {
	m := dbus.Message{Path: object, Interface: "org.freedesktop.DBus.Properties", Member: "Get", Signature: "ss", Body: []any{manager, "ControlGroup"}}
	if b.broker {
		m.Destination = service
	}
	answer, err := b.call(m)
	if err != nil {
		return "", b.failed("ask for its cgroup", err)
	}
	if len(answer) == 1 {
		v, _ := answer[0].(dbus.Variant)
		if path, ok := v.Value.(string); ok {
			return path, nil
		}
	}
	return "", b.failed("ask for its cgroup", errors.New("it has none"))
}

// await waits for the end of a job.
func (b *Bus) await(job []any) error {
	if len(job) != 1 {
		return errors.New("it named no job")
	}
	path, _ := job[0].(string)
	for until := sys.Monotonic() + patience; ; {
		for _, signal := range b.jobs { // uoss: number, path, unit, result
			if len(signal.Body) == 4 && signal.Body[1] == path {
				b.jobs = nil
				if result, _ := signal.Body[3].(string); result != "done" && result != "skipped" {
					return errors.New("the job ended with: " + result)
				}
				return nil
			}
		}
		b.jobs = nil
		message, err := b.receive(max(0, until-sys.Monotonic()))
		if errors.Is(err, syscall.ETIMEDOUT) {
			return &fail.Error{Doing: "wait for the end of its job " + path + ": none in " + patienceS, Err: err}
		}
		if err != nil {
			return err
		}
		if message.Type == dbus.Signal && message.Member == "JobRemoved" {
			b.jobs = append(b.jobs, message)
		}
	}
}

func isFailure(err error, names ...string) bool {
	f, ok := errors.AsType[*failure](err)
	for _, name := range names {
		if ok && f.name == name {
			return true
		}
	}
	return false
}

// failed is the error for a request that systemd did not fulfil.
func (b *Bus) failed(doing string, err error) *fail.Error {
	e := &fail.Error{Where: where, Doing: "ask " + b.name() + " to " + doing, Err: err}
	switch {
	case errors.Is(err, syscall.ETIMEDOUT):
		e.Hint = "see what it is busy with: systemctl list-jobs"
	case isFailure(err, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "org.freedesktop.DBus.Error.AccessDenied"):
		e.Hint = "only root may do so; containers of a user need the systemd of that user"
	case isFailure(err, "org.freedesktop.DBus.Error.PropertyReadOnly", "org.freedesktop.DBus.Error.InvalidArgs"):
		e.Hint = "see the annotations org.systemd.property.* and systemd.resource-control(5)"
	}
	return e
}
