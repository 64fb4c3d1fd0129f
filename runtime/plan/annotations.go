// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import "github.com/coracle-oci/coracle/runtime/prog"

// The annotations of crun that coracle acts on, besides those of cgroups and
// seccomp: engines write them.
const (
	HooksStdout  = "run.oci.hooks.stdout"         // a file that what hooks print is appended to
	HooksStderr  = "run.oci.hooks.stderr"         // the same of their errors
	KeepGroups   = "run.oci.keep_original_groups" // "1": the caller's supplementary groups stay
	MountContext = "run.oci.mount_context_type"   // the kind of linux.mountLabel
	PIDFDSocket  = "run.oci.pidfd_receiver"       // a socket that gets the pidfd of the init
)

func annotation(name string) string { return `annotations["` + name + `"]` }

// sendPIDFD gives the pidfd of the process to whoever listens.
func (c *compiler) sendPIDFD(at prog.Mark) {
	for _, s := range [...]struct{ path, from string }{{c.PIDFDSocket, "--pidfd-socket"}, {c.spec.Annotations[PIDFDSocket], annotation(PIDFDSocket)}} {
		if s.path != "" && (c.container == nil || s.path == c.PIDFDSocket) {
			c.host(HostStep{At: at, Do: SendPIDFD, Path: s.path, Doing: "send the pidfd to " + s.path, From: s.from})
		}
	}
}

// hookOutput is what a hook in the container gets as its descriptor 1 or 2: the
// file of the annotation, or memory that the message of a hook that fails is from.
func (c *compiler) hookOutput(fd int) prog.Input {
	name := []string{1: HooksStdout, 2: HooksStderr}[fd]
	file := c.spec.Annotations[name]
	in, ok := c.outputs[file]
	if ok {
		return in
	}
	step := HostStep{Do: OutputFile, Doing: "make a file for what hooks in the container say", From: "hooks"}
	if file != "" {
		step = HostStep{Do: AppendTo, Path: file, Doing: "open " + file, From: annotation(name)}
	}
	in = c.input("output", step)
	if c.outputs == nil {
		c.outputs = map[string]prog.Input{}
	}
	c.outputs[file] = in
	return in
}
