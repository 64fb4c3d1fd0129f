// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"slices"
	"strings"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// What is there if the kernel has these security modules and they are enabled.
const (
	AppArmorDir = "/sys/kernel/security/apparmor"
	SELinuxFile = "/sys/fs/selinux/enforce"
)

// apparmor tells whether an AppArmor profile is asked for.
func (c *compiler) apparmor() bool {
	profile := c.spec.Process.ApparmorProfile
	return profile != "" && profile != "unconfined"
}

// security opens the procfs that labels and sysctls are written to while what
// lies at "/" is the host's, and refuses labels of modules that are not there:
// without them the container would be less confined than asked for.
func (c *compiler) security() {
	p := c.spec.Process
	if c.apparmor() && c.Facts.Files[AppArmorDir].Mode == 0 {
		c.refuse("process.apparmorProfile", "AppArmor is not enabled on this machine: there is no "+AppArmorDir, 0, `remove it, or write "unconfined", to run without a profile`)
	}
	if p.SelinuxLabel != "" && c.Facts.Files[SELinuxFile].Mode == 0 {
		c.refuse("process.selinuxLabel", "SELinux is not enabled on this machine: there is no "+SELinuxFile, 0, "remove it to run without a label")
	}
	if c.spec.Linux.MountLabel != "" && c.Facts.Files[SELinuxFile].Mode == 0 {
		c.refuse("linux.mountLabel", "SELinux is not enabled on this machine: there is no "+SELinuxFile, 0, "remove it to mount without a label")
	}
	if c.apparmor() || p.SelinuxLabel != "" {
		c.b.From("process.apparmorProfile")
		if p.SelinuxLabel != "" {
			c.b.From("process.selinuxLabel")
		}
		c.hostProcfs()
	}
}

// labels tells the security modules what the process becomes at execve.
func (c *compiler) labels() {
	if c.apparmor() {
		c.b.From("process.apparmorProfile")
		// A process that is confined itself and may gain no privileges cannot change
		// to another profile, only put one on top of its own.
		verb := "exec "
		if c.Facts.Confined && c.spec.Process.NoNewPrivileges {
			verb = "stack "
		}
		profile := c.spec.Process.ApparmorProfile
		c.writeProc(c.procfs(), "self/attr/apparmor/exec", "open the profile of the next execve", "set the AppArmor profile to "+profile, verb+profile)
	}
	if label := c.spec.Process.SelinuxLabel; label != "" {
		c.b.From("process.selinuxLabel")
		c.writeProc(c.procfs(), "self/attr/exec", "open the label of the next execve", "set the SELinux label to "+label, label)
	}
}

// keyring joins a new session keyring. It gets the label of the container, which
// else could not use it.
func (c *compiler) keyring() {
	if c.NoNewKeyring {
		return
	}
	b := &c.b
	join := func() {
		b.Try(linux.ENOSYS, "join a new session keyring", prog.Keyctl, flags(linux.KEYCTL_JOIN_SESSION_KEYRING, "JOIN_SESSION_KEYRING"), b.String("_ses."+c.ID))
	}
	label := c.spec.Process.SelinuxLabel
	if label == "" {
		join()
		return
	}
	b.From("process.selinuxLabel")
	proc := c.hostProcfs()
	c.writeProc(proc, "self/attr/keycreate", "open the label of new keys", "set the label of new keys to "+label, label)
	join()
	c.writeProc(proc, "self/attr/keycreate", "open the label of new keys", "take the label of new keys back", "")
}

// labelled adds linux.mountLabel to what a new file system is told. Those that have
// labels of their own for each file take none (as runc and crun have it), and
// neither does one whose options have a label already.
func (c *compiler) labelled(kind string, list []Parameter) []Parameter {
	label := c.spec.Linux.MountLabel
	if label == "" || slices.Contains([]string{"proc", "sysfs", "mqueue", "cgroup", "cgroup2"}, kind) ||
		slices.ContainsFunc(list, func(p Parameter) bool { return slices.Contains(contexts, p.Key) }) {
		return list
	}
	context := c.spec.Annotations[MountContext]
	if context == "" {
		context = contexts[0]
	}
	if !slices.Contains(contexts, context) {
		c.refuse(annotation(MountContext), "unknown kind of label "+context, 0, "one of: "+strings.Join(contexts, ", "))
	}
	return append(list, Parameter{Key: context, Value: label})
}

// contexts are the mount options of SELinux, mount(8). The first is the default.
var contexts = []string{"context", "fscontext", "defcontext", "rootcontext"}

// labelQueues gives a new mqueue its label, which it takes as an attribute only.
func (c *compiler) labelQueues(kind string, mount prog.Reg) {
	label := c.spec.Linux.MountLabel
	if label == "" || kind != "mqueue" {
		return
	}
	b := &c.b
	root := b.Get("queues", "open the mount", prog.Openat, mount.Arg(), b.String("."), flags(linux.O_RDONLY|linux.O_DIRECTORY|linux.O_CLOEXEC, "O_RDONLY|O_DIRECTORY|O_CLOEXEC"))
	b.Last().From = "linux.mountLabel"
	b.Do("label it "+label, prog.Fsetxattr, root.Arg(), b.String("security.selinux"), b.String(label), prog.Int(len(label)+1), prog.Int(0)).From = "linux.mountLabel"
}
