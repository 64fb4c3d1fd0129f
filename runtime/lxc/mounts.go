// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package lxc

import (
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/config"
)

// fstab reads a file of entries.
func (c *converter) fstab(file string) {
	text, err := c.Read(file)
	if err != nil {
		c.bad("cannot be read: " + err.Error())
		return
	}
	outer := c.line
	number := 0
	for l := range strings.Lines(text) {
		number++
		if l = strings.TrimSpace(l); l != "" && l[0] != '#' {
			c.line = line{file + ":" + strconv.Itoa(number), "mount", l}
			c.entry(l)
		}
	}
	c.line = outer
}

// entry reads a line of fstab(5): "SOURCE TARGET TYPE OPTIONS [DUMP PASS]". The
// target is in the container, with or without its leading slash or the path of
// the root file system.
func (c *converter) entry(value string) {
	f := strings.Fields(value)
	if len(f) < 3 {
		c.bad("is not SOURCE TARGET TYPE OPTIONS")
		return
	}
	for i := range f {
		f[i] = octal(f[i])
	}
	m := specs.Mount{Source: f[0], Type: f[2]}
	target := f[1]
	if root := c.lxcRoot; root != "" && strings.HasPrefix(target, root+"/") {
		target = strings.TrimPrefix(target, root)
	}
	m.Destination = path.Clean("/" + target)
	optional, relative := false, false
	if len(f) > 3 {
		for o := range strings.SplitSeq(f[3], ",") {
			switch {
			case o == "optional":
				optional = true
			case o == "relative":
				relative = true
			case strings.HasPrefix(o, "create=") || o == "defaults" || o == "auto" || o == "nofail" || o == "_netdev":
				// targets are always made, and the rest says how mount(8) is to behave
			default:
				m.Options = append(m.Options, o)
			}
		}
	}
	if !config.IsBind(m.Options) {
		c.mounts = append(c.mounts, m)
		return
	}
	if relative {
		m.Source = path.Join(c.spec.Root.Path, m.Source)
	}
	if optional && !c.Exists(m.Source) {
		c.without("the source is optional and does not exist: left out")
		return
	}
	m.Type = "none"
	c.mounts = append(c.mounts, m)
}

// octal decodes \040 and the like: fstab(5).
func octal(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// fileSystems are the ones that LXC mounts by itself, and then those of the
// config. An entry for the same target takes the place of one of LXC's own.
func (c *converter) fileSystems() {
	var own []specs.Mount
	add := func(m specs.Mount) {
		if !slices.ContainsFunc(c.mounts, func(o specs.Mount) bool { return o.Destination == m.Destination && !config.IsBind(o.Options) }) {
			own = append(own, m)
		}
	}
	auto := map[string]string{}
	for _, w := range c.autoMount {
		kind, how, _ := strings.Cut(w, ":")
		auto[kind] = how
	}
	if how, ok := auto["proc"]; ok {
		add(specs.Mount{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "nodev", "noexec"}})
		if how != "rw" {
			c.spec.Linux.ReadonlyPaths = append(c.spec.Linux.ReadonlyPaths, "/proc/sys", "/proc/sysrq-trigger")
		}
	}
	if how, ok := auto["sys"]; ok {
		options := []string{"nosuid", "nodev", "noexec"}
		if how != "rw" {
			options = append(options, "ro")
		}
		add(specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: options})
	}
	if !c.noDev {
		add(specs.Mount{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=500k"}})
		pts := append([]string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}, c.devpts...)
		add(specs.Mount{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: c.ptsOptions(pts)})
		add(specs.Mount{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "nodev", "mode=1777"}})
	}
	for _, kind := range []string{"cgroup", "cgroup-full"} {
		if how, ok := auto[kind]; ok {
			options := []string{"nosuid", "nodev", "noexec", "relatime"}
			if strings.HasPrefix(how, "ro") {
				options = append(options, "ro")
			}
			add(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: options})
			break
		}
	}
	c.spec.Mounts = append(own, c.mounts...)
}

// ptsOptions leaves out the owner where group 5 is not mapped.
func (c *converter) ptsOptions(options []string) []string {
	maps := c.spec.Linux.GIDMappings
	if len(maps) > 0 && !slices.ContainsFunc(maps, func(m specs.LinuxIDMapping) bool { return m.ContainerID <= 5 && 5-m.ContainerID < m.Size }) {
		return slices.DeleteFunc(options, func(o string) bool { return o == "gid=5" })
	}
	return options
}
