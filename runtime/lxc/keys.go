// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package lxc

import (
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/config"
)

// oldNames are the keys from before LXC 2.1 that have another name since.
var oldNames = [...]struct{ old, name string }{
	{"lxc.utsname", "lxc.uts.name"},
	{"lxc.rootfs", "lxc.rootfs.path"},
	{"lxc.mount", "lxc.mount.fstab"},
	{"lxc.id_map", "lxc.idmap"},
	{"lxc.init_cmd", "lxc.init.cmd"},
	{"lxc.init_uid", "lxc.init.uid"},
	{"lxc.init_gid", "lxc.init.gid"},
	{"lxc.aa_profile", "lxc.apparmor.profile"},
	{"lxc.se_context", "lxc.selinux.context"},
	{"lxc.seccomp", "lxc.seccomp.profile"},
	{"lxc.haltsignal", "lxc.signal.halt"},
	{"lxc.rebootsignal", "lxc.signal.reboot"},
	{"lxc.stopsignal", "lxc.signal.stop"},
	{"lxc.pts", "lxc.pty.max"},
	{"lxc.tty", "lxc.tty.max"},
	{"lxc.devttydir", "lxc.tty.dir"},
	{"lxc.console", "lxc.console.path"},
	{"lxc.logfile", "lxc.log.file"},
	{"lxc.loglevel", "lxc.log.level"},
	{"lxc.syslog", "lxc.log.syslog"},
	{"lxc.execute_cmd", "lxc.execute.cmd"},
}

// key converts one setting.
func (c *converter) key(key, value string) {
	for _, o := range oldNames {
		if key == o.old {
			key = o.name
			break
		}
	}
	if rest, ok := strings.CutPrefix(key, "lxc.limit."); ok {
		key = "lxc.prlimit." + rest
	}
	switch {
	case c.simple(key, value), c.more(key, value):
	case key == "lxc.network" || strings.HasPrefix(key, "lxc.network.") || key == "lxc.net" || strings.HasPrefix(key, "lxc.net."):
		c.network(key, value)
	case strings.HasPrefix(key, "lxc.cgroup2."):
		c.cgroup(strings.TrimPrefix(key, "lxc.cgroup2."), value, true)
	case strings.HasPrefix(key, "lxc.cgroup."):
		c.cgroup(strings.TrimPrefix(key, "lxc.cgroup."), value, false)
	case strings.HasPrefix(key, "lxc.prlimit."):
		c.rlimit(strings.TrimPrefix(key, "lxc.prlimit."), value)
	case strings.HasPrefix(key, "lxc.sysctl."):
		c.sysctl(strings.TrimPrefix(key, "lxc.sysctl."), value)
	case strings.HasPrefix(key, "lxc.hook."):
		c.hook(strings.TrimPrefix(key, "lxc.hook."), value)
	case strings.HasPrefix(key, "lxc.namespace.share."):
		c.share(strings.TrimPrefix(key, "lxc.namespace.share."), value)
	case strings.HasPrefix(key, "lxc.time.offset."):
		c.timeOffset(strings.TrimPrefix(key, "lxc.time.offset."), value)
	case !strings.HasPrefix(key, "lxc."):
		c.without("is no key of LXC")
	default:
		c.without("has no counterpart")
	}
}

// simple converts what is one property.
func (c *converter) simple(key, value string) bool {
	p := c.spec.Process
	switch key {
	case "lxc.uts.name":
		c.spec.Hostname = value
	case "lxc.rootfs.path":
		c.rootfs(value)
	case "lxc.rootfs.options":
		c.rootOptions(value)
	case "lxc.init.cmd":
		p.Args = words(value)
	case "lxc.init.cwd":
		p.Cwd = value
	case "lxc.init.uid":
		p.User.UID = uint32(c.number(value, 0, 1<<32-2))
	case "lxc.init.gid":
		p.User.GID = uint32(c.number(value, 0, 1<<32-2))
	case "lxc.init.groups":
		for _, g := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }) {
			p.User.AdditionalGids = append(p.User.AdditionalGids, uint32(c.number(g, 0, 1<<32-2)))
		}
	case "lxc.environment":
		c.environment(value)
	case "lxc.no_new_privs":
		p.NoNewPrivileges = value == "1"
	case "lxc.selinux.context":
		p.SelinuxLabel = value
	case "lxc.idmap":
		c.idmap(value)
	case "lxc.cap.drop":
		c.dropCapabilities(value)
	case "lxc.cap.keep":
		c.keepCapabilities(value)
	case "lxc.autodev":
		c.noDev = value == "0"
	case "lxc.signal.halt":
		c.annotate("org.opencontainers.image.stopSignal", value)
	default:
		return false
	}
	return true
}

// more converts what has a counterpart only in part.
func (c *converter) more(key, value string) bool {
	switch key {
	case "lxc.mount.entry":
		c.entry(value)
	case "lxc.mount.fstab":
		c.fstab(value)
	case "lxc.mount.auto":
		c.autoMount = append(c.autoMount, strings.Fields(value)...)
		for _, w := range strings.Fields(value) {
			if kind, _, _ := strings.Cut(w, ":"); !slices.Contains([]string{"proc", "sys", "cgroup", "cgroup-full"}, kind) {
				c.without(w + " has no counterpart")
			}
		}
	case "lxc.cgroup.dir":
		c.spec.Linux.CgroupsPath = "/" + strings.TrimPrefix(value, "/")
	case "lxc.arch":
		c.arch(value)
	case "lxc.apparmor.profile":
		if value == "generated" || value == "unchanged" {
			c.without("there is no profile to be generated; the container gets none")
		} else {
			c.spec.Process.ApparmorProfile = value
		}
	case "lxc.pty.max":
		if value != "0" {
			c.devpts = append(c.devpts, "max="+value)
		}
	case "lxc.namespace.keep":
		c.removeNamespaces(func(kind string) bool { return !slices.Contains(kinds(value), kind) })
	case "lxc.namespace.clone":
		c.removeNamespaces(func(kind string) bool { return slices.Contains(kinds(value), kind) })
	case "lxc.proc.oom_score_adj":
		n := int(c.number(value, -1000, 1000))
		c.spec.Process.OOMScoreAdj = &n
	case "lxc.seccomp.profile":
		c.seccomp(value)
	default:
		return false
	}
	return true
}

// kinds are the spec's names of the namespaces that LXC lists.
func kinds(value string) []string {
	list := strings.Fields(value)
	for i, kind := range list {
		switch kind {
		case "net":
			list[i] = "network"
		case "mnt":
			list[i] = "mount"
		}
	}
	return list
}

// rootfs takes a directory; the other kinds of storage have to be mounted first.
func (c *converter) rootfs(value string) {
	kind, rest, typed := strings.Cut(value, ":")
	if !typed {
		rest = value
	}
	c.lxcRoot = rest
	switch {
	case c.Root != "":
	case !typed || kind == "dir" || kind == "btrfs":
		c.spec.Root.Path = rest
	default:
		c.without("mount it yourself and give the directory with --rootfs")
	}
}

func (c *converter) rootOptions(value string) {
	for o := range strings.SplitSeq(value, ",") {
		switch o {
		case "ro":
			c.spec.Root.Readonly = true
		case "rw", "defaults", "":
		default:
			c.without(o + " has no counterpart")
		}
	}
}

func (c *converter) environment(value string) {
	name, _, given := strings.Cut(value, "=")
	if !given {
		text, ok := c.Env(name)
		if !ok {
			c.without("is not set here")
			return
		}
		value = name + "=" + text
	}
	env := slices.DeleteFunc(c.spec.Process.Env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
	c.spec.Process.Env = append(env, value)
}

// idmap reads "u 0 100000 65536".
func (c *converter) idmap(value string) {
	f := strings.Fields(value)
	if value == "" {
		c.spec.Linux.UIDMappings, c.spec.Linux.GIDMappings = nil, nil
		return
	}
	if len(f) != 4 || !slices.Contains([]string{"u", "g", "b"}, f[0]) {
		c.bad("is not KIND CONTAINER-ID HOST-ID NUMBER, with u, g or b for KIND")
		return
	}
	n := make([]uint32, 3)
	for i := range n {
		n[i] = uint32(c.number(f[1+i], 0, 1<<32-1))
	}
	m := specs.LinuxIDMapping{ContainerID: n[0], HostID: n[1], Size: n[2]}
	if f[0] != "g" {
		c.spec.Linux.UIDMappings = append(c.spec.Linux.UIDMappings, m)
	}
	if f[0] != "u" {
		c.spec.Linux.GIDMappings = append(c.spec.Linux.GIDMappings, m)
	}
}

// known reports a capability that nobody knows, which LXC refuses.
func (c *converter) known(name string) bool {
	if _, ok := config.CapabilityNumber("CAP_" + strings.ToUpper(name)); !ok {
		c.without(name + " is no capability")
		return false
	}
	return true
}

func (c *converter) dropCapabilities(value string) {
	if value == "" {
		c.drop = nil
	}
	for name := range strings.FieldsSeq(value) {
		if name = strings.TrimPrefix(strings.ToLower(name), "cap_"); c.known(name) {
			c.drop = append(c.drop, name)
		}
	}
}

func (c *converter) keepCapabilities(value string) {
	c.keeps = true
	for name := range strings.FieldsSeq(value) {
		name = strings.TrimPrefix(strings.ToLower(name), "cap_")
		if name == "none" {
			c.keep = nil
		} else if c.known(name) {
			c.keep = append(c.keep, name)
		}
	}
}

// rlimit reads "SOFT:HARD" or one number for both.
func (c *converter) rlimit(name, value string) {
	kind := "RLIMIT_" + strings.ToUpper(name)
	if _, ok := config.RlimitNumber(kind); !ok {
		c.without(name + " is no limit")
		return
	}
	soft, hard, two := strings.Cut(value, ":")
	if !two {
		hard = soft
	}
	limit := specs.POSIXRlimit{Type: kind, Soft: c.limit(soft), Hard: c.limit(hard)}
	p := c.spec.Process
	p.Rlimits = slices.DeleteFunc(p.Rlimits, func(l specs.POSIXRlimit) bool { return l.Type == kind })
	p.Rlimits = append(p.Rlimits, limit)
}

func (c *converter) limit(text string) uint64 {
	text = strings.TrimSpace(text)
	if text == "unlimited" {
		return 1<<64 - 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		c.bad("is neither a number nor unlimited")
	}
	return n
}

func (c *converter) sysctl(name, value string) {
	if c.spec.Linux.Sysctl == nil {
		c.spec.Linux.Sysctl = map[string]string{}
	}
	c.spec.Linux.Sysctl[name] = value
}

func (c *converter) annotate(key, value string) {
	if c.spec.Annotations == nil {
		c.spec.Annotations = map[string]string{}
	}
	c.spec.Annotations[key] = value
}

// arch asks for a personality where it is not the kernel's own.
func (c *converter) arch(value string) {
	switch value {
	case "x86_64", "amd64", "linux64", "aarch64", "arm64":
	case "x86", "i386", "i486", "i586", "i686", "linux32", "arm", "armhf", "armel", "armv7l":
		c.spec.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
	default:
		c.without("coracle runs on amd64 and arm64")
	}
}

// share joins the namespace of a path; LXC knows other containers by their names.
func (c *converter) share(kind, value string) {
	if !strings.HasPrefix(value, "/") {
		c.without("give the path of the namespace, such as /proc/PID/ns/" + kind)
		return
	}
	kind = kinds(kind)[0]
	if ns := c.namespace(kind); ns != nil {
		ns.Path = value
	} else {
		c.spec.Linux.Namespaces = append(c.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(kind), Path: value})
	}
}

// timeOffset reads a number with a unit: "36h", "-5s", "100ms".
func (c *converter) timeOffset(clock, value string) {
	name := map[string]string{"boot": "boottime", "monotonic": "monotonic"}[clock]
	if name == "" {
		c.without("has no counterpart")
		return
	}
	digits := strings.TrimRight(value, "hmsun")
	scale := map[string]int64{"h": 3600e9, "m": 60e9, "s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1}[value[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || scale == 0 || n > (1<<63-1)/scale || n < -(1<<63-1)/scale {
		c.bad("is no time such as 36h or 500ms")
		return
	}
	n *= scale
	seconds := n / 1e9
	if n%1e9 < 0 {
		seconds--
	}
	if c.spec.Linux.TimeOffsets == nil {
		c.spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{}
	}
	c.spec.Linux.TimeOffsets[name] = specs.LinuxTimeOffset{Secs: seconds, Nanosecs: uint32(n - seconds*1e9)}
}

// number reads a whole number between two others.
func (c *converter) number(text string, low, high int64) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < low || n > high {
		c.bad("is no number from " + strconv.FormatInt(low, 10) + " to " + strconv.FormatInt(high, 10))
	}
	return n
}

// words splits a command as a shell does, with quotes and backslashes.
func words(s string) []string {
	var list []string
	var word strings.Builder
	inside, quote := false, rune(0)
	escaped := false
	for _, r := range s {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			inside, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			inside, quote = true, r
		case quote == 0 && (r == ' ' || r == '\t'):
			if inside {
				list = append(list, word.String())
				word.Reset()
			}
			inside = false
		default:
			inside = true
			word.WriteRune(r)
		}
	}
	if inside {
		list = append(list, word.String())
	}
	return list
}
