// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package lxc

import specs "github.com/opencontainers/runtime-spec/specs-go"

// hook converts a command that LXC runs at some time of the container's life.
// LXC gives it the container's name, "lxc" and the kind as arguments, and more in
// its environment.
func (c *converter) hook(kind, value string) {
	if c.spec.Hooks == nil {
		c.spec.Hooks = &specs.Hooks{}
	}
	h := c.spec.Hooks
	var list *[]specs.Hook
	switch kind {
	case "pre-start", "start-host":
		list = &h.CreateRuntime
	case "pre-mount", "mount", "autodev":
		list = &h.CreateContainer
	case "start":
		list = &h.StartContainer
	case "post-stop":
		list = &h.Poststop
	case "stop":
		c.without("runs as poststop, when the namespaces are gone")
		list = &h.Poststop
	default: // clone, destroy, version
		c.without("has no counterpart")
		return
	}
	*list = append(*list, specs.Hook{
		Path: "/bin/sh",
		Args: []string{"sh", "-c", value + ` "$@"`, "sh", c.Name, "lxc", kind},
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LXC_NAME=" + c.Name, "LXC_CONFIG_FILE=" + c.File,
			"LXC_ROOTFS_PATH=" + c.spec.Root.Path, "LXC_ROOTFS_MOUNT=" + c.spec.Root.Path, "LXC_HOOK_SECTION=lxc", "LXC_HOOK_TYPE=" + kind, "LXC_HOOK_VERSION=0"},
	})
}
