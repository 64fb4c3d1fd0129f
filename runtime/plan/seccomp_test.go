// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan_test

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// filtered is a config with a filter.
func filtered(noNew bool, rules ...specs.LinuxSyscall) *config.Config {
	c := &config.Config{Spec: specs.Spec{Version: specs.Version, Root: &specs.Root{Path: "rootfs"},
		Process: &specs.Process{Cwd: "/", Args: []string{"/bin/true"}, NoNewPrivileges: noNew,
			Capabilities: &specs.LinuxCapabilities{Permitted: []string{"CAP_KILL"}, Effective: []string{"CAP_KILL"}}},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.MountNamespace}},
			Seccomp: &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: rules}}}}
	return c
}

func kill(name string) specs.LinuxSyscall {
	return specs.LinuxSyscall{Names: []string{name}, Action: specs.ActKill}
}

// unless kills for a call, but with one sixth argument.
func unless(name string, sixth uint64) specs.LinuxSyscall {
	s := kill(name)
	s.Args = []specs.LinuxSeccompArg{{Index: 5, Value: sixth, Op: specs.OpNotEqual}}
	return s
}

func asked(path string, rules ...specs.LinuxSyscall) *config.Config {
	c := filtered(true, append(rules, specs.LinuxSyscall{Names: []string{"mknod"}, Action: specs.ActNotify})...)
	c.Linux.Seccomp.ListenerPath = path
	return c
}

// compileAgent is compile with a socket at /run/agent.
func compileAgent(c *config.Config, f facts.Facts) (*plan.Plan, error) {
	f.Files = hostFiles(plan.HostPaths("/bundle", &c.Spec))
	if _, ok := f.Files["/run/agent"]; ok {
		f.Files["/run/agent"] = facts.Kind{Mode: linux.S_IFSOCK | 0o666}
	}
	delete(f.Files, "/run/none")
	return plan.Compile(plan.Request{ID: "c1", Bundle: "/bundle", Config: c, Facts: f})
}

// tail is the calls from accept4 on.
func tail(p *plan.Plan) []string {
	var calls []string
	for _, l := range p.Lines() {
		if calls != nil || l.Step == p.Accept {
			calls = append(calls, l.Call)
		}
	}
	return calls
}

// TestSeccompOrder: nothing but execve follows a filter that asks nobody, and only
// what hands the listener over one that does.
func TestSeccompOrder(t *testing.T) {
	f := machine(t, "v2")
	for _, c := range []struct {
		have *config.Config
		want string
	}{
		{filtered(true), "sendto(gate, mark, 8, MSG_NOSIGNAL, 0, 0); seccomp(SET_MODE_FILTER, 0, {7 instructions}); execve("},
		{filtered(false), "sendto(gate, mark, 8, MSG_NOSIGNAL, 0, 0); seccomp(SET_MODE_FILTER, 0, {7 instructions}); execve("},
		{asked("/run/agent"), "CLOEXEC); seccomp(SET_MODE_FILTER, NEW_LISTENER, {10 instructions}); sendmsg(gate, {mark, SCM_RIGHTS listener}, MSG_NOSIGNAL, 0, 0, 0x636f7261636c65); " +
			"send the state and the listener to /run/agent; read(gate, go, 1, 0, 0, 0x636f7261636c65); sendto(gate, mark, 8, MSG_NOSIGNAL, 0, 0x636f7261636c65); execve("},
	} {
		p, err := compileAgent(c.have, f)
		if err != nil {
			t.Fatal(err)
		}
		sound(t, p)
		if got := strings.Join(tail(p), "; "); !strings.Contains(got, c.want) {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestSeccompPrivilege: without no_new_privs the process keeps CAP_SYS_ADMIN up to
// execve, and only then.
func TestSeccompPrivilege(t *testing.T) {
	for noNew, want := range map[bool]string{true: "{effective 0x20, permitted 0x20, inheritable 0x0}", false: "{effective 0x200020, permitted 0x200020, inheritable 0x0}"} {
		p, err := compileAgent(filtered(noNew), machine(t, "v2"))
		if err != nil {
			t.Fatal(err)
		}
		if text := p.Text(); !strings.Contains(text, want) {
			t.Errorf("no new privileges %v: no %s in\n%s", noNew, want, text)
		}
	}
}

func TestSeccompRefusals(t *testing.T) {
	usual := machine(t, "v2")
	for _, c := range []struct {
		have  *config.Config
		facts facts.Facts
		want  string
	}{
		{asked("/run/agent"), usual, ""},
		{asked("/run/none"), usual, "config.json linux.seccomp.listenerPath: connect to /run/none: no such file or directory (ENOENT)"},
		{asked("/run/directory"), usual, "config.json linux.seccomp.listenerPath: connect to /run/directory: socket operation on non-socket (ENOTSOCK)"},
		{asked("/run/agent", kill("sendmsg")), usual, "config.json linux.seccomp: hand the listener over: the filter does not allow sendmsg"},
		{asked("/run/agent", kill("read")), usual, "config.json linux.seccomp: hand the listener over: the filter does not allow read"},
		{asked("/run/agent", unless("read", plan.Ours), unless("sendmsg", plan.Ours), unless("sendto", plan.Ours)), usual, ""},
		{asked("/run/agent", unless("read", plan.Ours+1)), usual, "config.json linux.seccomp: hand the listener over: the filter does not allow read"},
	} {
		_, err := compileAgent(c.have, c.facts)
		if err == nil && c.want == "" {
			continue
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
	other := machine(t, "v2")
	other.Arch = "riscv64"
	if _, err := compileAgent(filtered(true), other); err == nil || err.Error() != "config.json linux.seccomp: compile a filter for riscv64" {
		t.Errorf("got %v", err)
	}
}
