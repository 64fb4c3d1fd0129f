// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// CompileExec returns the plan of one more process in a container that exists.
// The request's config is the one that the container was made of, with the
// process to be in the place of its own.
//
// The process joins the cgroups and, by the pidfd of the container's init, all
// namespaces at once; from there on it is made as create makes the init.
func CompileExec(r Request, container facts.Container) (*Plan, error) {
	c := &compiler{Request: r, container: &container, spec: &r.Config.Spec, dirs: map[string]prog.Reg{}}
	if c.spec.Linux == nil {
		c.spec.Linux = &specs.Linux{}
	}
	c.plan.Cgroup.Join, c.plan.Cgroup.Into, c.plan.Cgroup.Dirs = slices.Clone(container.Join), container.Into, container.Cgroups
	for _, phase := range []func(){
		c.subCgroups, c.beginExec, c.initialAffinity, c.oomScore, c.security, c.joinContainer,
		c.openRoot, c.terminal, c.enter, c.scheduling, c.signals, c.labels, c.handRoot, c.identity, c.found, c.execute,
	} {
		if phase(); c.refused() {
			return nil, c.wrong[0]
		}
	}
	c.startWith(len(c.opens))
	c.plan.Init = c.b.Program(3+r.PreserveFDs, c.gate)
	return &c.plan, nil
}

// ExecPaths is [HostPaths] for CompileExec.
func ExecPaths(spec *specs.Spec) []string {
	list := labelPaths(spec, nil)
	if l := spec.Linux; l != nil && l.Seccomp != nil && notifies(l.Seccomp) {
		list = append(list, l.Seccomp.ListenerPath)
	}
	return list
}

// beginExec makes what the program starts with.
func (c *compiler) beginExec() {
	c.raiseLimits()
	c.host(HostStep{Do: Spawn, Path: c.plan.Cgroup.Into, Doing: "start the launch program"})
	c.gate = c.input("gate", HostStep{Do: Socketpair, Doing: "make the gate"})
	c.kept = len(c.b.Inputs())
	c.gone = c.b.Label()
	c.closeAtExecve()
	c.hide()
}

// initialAffinity is what the process runs on while it is none of the
// container's yet.
func (c *compiler) initialAffinity() {
	if a := c.spec.Process.ExecCPUAffinity; a != nil && a.Initial != "" {
		c.runOn(a.Initial, "process.execCPUAffinity.initial", "run on CPUs "+a.Initial+" until it is the container's")
	}
}

// joinContainer enters namespaces and cgroups. A PID namespace takes a clone: the
// cgroups come after it, as their limit of processes is for those that fork in them,
// and not for who comes. A container that has all the processes that it may have can
// still be looked into.
func (c *compiler) joinContainer() {
	b := &c.b
	var join int
	var text string
	var user, pid bool
	for _, k := range namespaceKinds {
		if !c.container.Has(string(k.kind)) {
			continue
		}
		if text != "" {
			text += "|"
		}
		join, text = join|k.flag, text+k.text
		user, pid = user || k.kind == specs.UserNamespace, pid || k.kind == specs.PIDNamespace
	}
	if c.chroots() {
		c.root = c.input("root", HostStep{Do: OpenRoot, Path: c.container.Proc + "/root", Doing: "open the container's root"}).Arg()
	}
	if join != 0 {
		b.From("linux.namespaces")
		in := c.input("container", HostStep{Do: OpenProcess, Value: c.container.Proc, Doing: "take the pidfd of the container's init"})
		b.Do("join the container's namespaces", prog.Setns, in.Arg(), flags(join, text))
	}
	if user {
		c.becomeRoot("linux.uidMappings")
	}
	if pid {
		c.becomeChild("clone the process")
	}
	c.joinCgroups()
	c.session()
}

// chroots tells whether the container's root is not the root of its mount
// namespace: it has none of its own, or was made with --no-pivot.
func (c *compiler) chroots() bool { return c.NoPivot || !c.fresh(specs.MountNamespace) }

// openRoot leaves the root of the container in c.root.
func (c *compiler) openRoot() {
	b := &c.b
	b.From("root.path")
	if c.chroots() {
		b.Do("enter the root", prog.Fchdir, c.root)
		b.Do("change the root", prog.Chroot, b.String("."))
		return
	}
	c.root = b.Get("root", "open the root", prog.Openat, prog.Const(atFDCWD, "AT_FDCWD"), b.String("/"),
		flags(linux.O_PATH|linux.O_DIRECTORY|linux.O_CLOEXEC, "O_PATH|O_DIRECTORY|O_CLOEXEC")).Arg()
}

// enter enters process.cwd, which has to be there. It is opened below the root, so
// it cannot be a directory of the host (CVE-2024-21626).
func (c *compiler) enter() {
	b := &c.b
	b.From("process.cwd")
	dir := c.root
	if name := inside(c.spec.Process.Cwd); name != "" {
		dir = b.Get("cwd", "find "+c.spec.Process.Cwd, prog.Openat2, c.root, b.String(name),
			c.openHow(linux.O_PATH|linux.O_DIRECTORY, directoryOnly, inRoot), prog.Int(howSize)).Arg()
	}
	b.Do("enter "+c.spec.Process.Cwd, prog.Fchdir, dir)
}

// found is the gate at which the parent looks up the program. What the engine is
// to learn of the process it learns when that runs.
func (c *compiler) found() {
	c.findProgram()
	c.agent(AtCreated)
	c.joinRdt()
	c.sendPIDFD(AboutToRun)
	if c.PIDFile != "" {
		c.host(HostStep{At: AboutToRun, Do: WritePIDFile, Path: c.PIDFile, Doing: "write the pid", From: "--pid-file"})
	}
}

// runOn lets the process run on a list of CPUs, cpuset(7).
func (c *compiler) runOn(list, from, doing string) {
	mask, _ := config.ParseList(list, config.MostCPUs) // package config has judged it
	c.b.From(from)
	c.b.Do(doing, prog.SchedSetaffinity, prog.Int(0), prog.Int(8*len(mask)), c.b.Shared("{CPUs "+list+"}", mask...))
}
