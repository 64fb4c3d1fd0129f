// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// joinable is what a container of a config is like: it has the namespaces that
// the config names.
func joinable(c *config.Config, on string) facts.Container {
	in := facts.Container{Proc: "/proc/42"}
	for _, ns := range c.Linux.Namespaces {
		in.Namespaces = append(in.Namespaces, string(ns.Type))
	}
	if on == "hybrid" {
		in.Cgroups = []string{"/sys/fs/cgroup/memory/c1", "/sys/fs/cgroup/pids/c1", "/sys/fs/cgroup/unified/c1"}
		in.Join, in.Into = []string{"/sys/fs/cgroup/memory/c1/tasks", "/sys/fs/cgroup/pids/c1/tasks"}, "/sys/fs/cgroup/unified/c1"
	} else {
		in.Cgroups, in.Into = []string{"/sys/fs/cgroup/c1"}, "/sys/fs/cgroup/c1"
	}
	return in
}

func execRequest(c *config.Config, f facts.Facts) plan.Request {
	f.Files = hostFiles(plan.ExecPaths(&c.Spec))
	return plan.Request{ID: "c1", Bundle: "/bundle", Config: c, Facts: f, PIDFile: "/run/exec.pid"}
}

// TestGoldenExec compares the plans of one more process in the containers of
// engines with testdata/exec/NAME.MACHINE.
func TestGoldenExec(t *testing.T) {
	for _, c := range []struct{ name, on string }{
		{"runc-spec", "hybrid"}, {"runc-spec", "v2"}, {"docker-run", "hybrid"}, {"docker-tty", "hybrid"}, {"podman-userns", "v2"}, {"kube-container", "v2"}, {"ctr-privileged", "hybrid"},
	} {
		t.Run(c.name+"."+c.on, func(t *testing.T) {
			data, err := os.ReadFile("testdata/configs/" + c.name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			config := parse(t, data)
			config.Process.Args = []string{"ls", "-l"}
			r := execRequest(config, machine(t, c.on))
			if config.Process.Terminal {
				r.ConsoleSocket = "/run/console.sock"
			}
			p, err := plan.CompileExec(r, joinable(config, c.on))
			if err != nil {
				t.Fatal(err)
			}
			soundExec(t, p)
			matchGolden(t, "testdata/exec/"+c.name+"."+c.on, p)
		})
	}
}

// soundExec checks what must hold of every plan of exec.
func soundExec(t testing.TB, p *plan.Plan) {
	t.Helper()
	if err := p.Init.Check(); err != nil {
		t.Error(err)
	}
	if p.Init.Steps[p.Execve].Call != prog.Execve {
		t.Errorf("step %d is no execve", p.Execve)
	}
	setns := slices.IndexFunc(p.Init.Steps, func(s prog.Step) bool { return s.Call == prog.Setns })
	hidden := slices.IndexFunc(p.Init.Steps, func(s prog.Step) bool { return s.Call == prog.Prctl && strings.Contains(s.Doing, "tracing") })
	if hidden < 0 || setns >= 0 && setns < hidden {
		t.Errorf("it joins the container in step %d, and can be traced up to step %d", setns, hidden)
	}
	for _, l := range p.Lines() {
		if l.Call == "" || l.Call == "unknown" || l.Doing == "" {
			t.Errorf("line %+v", l)
		}
	}
}

// execLines is the text of the plan for a small config after a change.
func execLines(t testing.TB, change func(*specs.Spec, *facts.Container, *plan.Request)) string {
	t.Helper()
	c := edit(t, func(*specs.Spec) {})
	in := joinable(c, "hybrid")
	r := execRequest(c, machine(t, "hybrid"))
	change(&c.Spec, &in, &r)
	r.Facts.Files = hostFiles(plan.ExecPaths(&c.Spec))
	p, err := plan.CompileExec(r, in)
	if err != nil {
		t.Fatal(err)
	}
	soundExec(t, p)
	return p.Text()
}

// TestExecNamespaces: what is the same here and there is not joined; a container
// without a PID namespace takes no clone; one whose root is not that of its mount
// namespace takes chroot(2).
func TestExecNamespaces(t *testing.T) {
	all := execLines(t, func(*specs.Spec, *facts.Container, *plan.Request) {})
	if !strings.Contains(all, "setns(container, CLONE_NEWIPC|CLONE_NEWUTS|CLONE_NEWNET|CLONE_NEWPID|CLONE_NEWNS)") || !strings.Contains(all, "clone(") || strings.Contains(all, "chroot") {
		t.Error(all)
	}
	few := execLines(t, func(_ *specs.Spec, in *facts.Container, _ *plan.Request) { in.Namespaces = []string{"mount"} })
	if !strings.Contains(few, "setns(container, CLONE_NEWNS)") || strings.Contains(few, "clone(") {
		t.Error(few)
	}
	none := execLines(t, func(s *specs.Spec, in *facts.Container, _ *plan.Request) {
		in.Namespaces, s.Linux.Namespaces = nil, nil
	})
	if strings.Contains(none, "setns") || !strings.Contains(none, `chroot(".")`) || !strings.Contains(none, `open("/proc/42/root"`) {
		t.Error(none)
	}
	if text := execLines(t, func(_ *specs.Spec, _ *facts.Container, r *plan.Request) { r.NoPivot = true }); !strings.Contains(text, `chroot(".")`) {
		t.Error(text)
	}
	user := execLines(t, func(_ *specs.Spec, in *facts.Container, _ *plan.Request) {
		in.Namespaces = append(in.Namespaces, "user")
	})
	if !strings.Contains(user, "setns(container, CLONE_NEWUSER|CLONE_NEWIPC|") || strings.Count(user, "setresuid(0, 0, 0)") != 2 {
		t.Error(user)
	}
}

// TestExecAffinity: the first list holds until the cgroups are joined, the
// second from then on.
func TestExecAffinity(t *testing.T) {
	text := execLines(t, func(s *specs.Spec, _ *facts.Container, _ *plan.Request) {
		s.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "1", Final: "0,2"}
	})
	first, join, last := strings.Index(text, "{CPUs 1}"), strings.Index(text, "write(tasks[0]"), strings.Index(text, "{CPUs 0,2}")
	if first < 0 || join < first || last < join || strings.Contains(text, "sched_setaffinity(0, 1024, all)") {
		t.Error(text)
	}
}

// TestExecCgroup is --cgroup, in runc's grammar.
func TestExecCgroup(t *testing.T) {
	at := func(args ...string) string {
		text := execLines(t, func(_ *specs.Spec, _ *facts.Container, r *plan.Request) { r.SubCgroups = args })
		var dirs []string
		for _, f := range strings.FieldsFunc(text, func(r rune) bool { return r == '"' || r == ' ' || r == '\n' }) {
			if strings.HasPrefix(f, "/sys/fs/cgroup/") {
				dirs = append(dirs, strings.TrimSuffix(strings.TrimPrefix(f, "/sys/fs/cgroup/"), "/tasks"))
			}
		}
		slices.Sort(dirs)
		return strings.Join(slices.Compact(dirs), " ")
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "memory/c1 pids/c1 unified/c1"},
		{[]string{"/"}, "memory/c1 pids/c1 unified/c1"},
		{[]string{"a/b"}, "memory/c1/a/b pids/c1/a/b unified/c1/a/b"},
		{[]string{"memory:a", "pids:/b"}, "memory/c1/a pids/c1/b unified/c1"},
		{[]string{"memory,pids:a"}, "memory/c1/a pids/c1/a unified/c1"},
	} {
		if got := at(c.args...); got != c.want {
			t.Errorf("%q: %s, want %s", c.args, got, c.want)
		}
	}
	for want, args := range map[string][]string{
		"lacks the controllers":         {"a", "b"},
		`of the controller "nosuch"`:    {"nosuch:a"},
		`of the controller ""`:          {":a"},
		"memory is given twice":         {"memory:a", "pids,memory:b"},
		`"../c2" is no path below`:      {"../c2"},
		`"a/../../c2" is no path below`: {"memory:a/../../c2"},
	} {
		c := edit(t, func(*specs.Spec) {})
		r := execRequest(c, machine(t, "hybrid"))
		r.SubCgroups = args
		if _, err := plan.CompileExec(r, joinable(c, "hybrid")); err == nil || !strings.HasPrefix(err.Error(), "--cgroup: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// TestExecLabels: the process gets its labels at execve; the procfs for that is
// opened before it is the container's, where /proc may be anything.
func TestExecLabels(t *testing.T) {
	text := execLines(t, func(s *specs.Spec, _ *facts.Container, r *plan.Request) {
		s.Process.ApparmorProfile, s.Process.SelinuxLabel = "docker-default", "u:r:p:s0:c1"
	})
	opened, joined := strings.Index(text, `"/proc"`), strings.Index(text, "setns(")
	if opened < 0 || joined < opened {
		t.Errorf("the procfs is opened at %d, the container joined at %d", opened, joined)
	}
	for _, want := range []string{`openat2(proc, "self/attr/apparmor/exec"`, `write(attr, "exec docker-default", 19)`, `openat2(proc, "self/attr/exec"`, `write(attr, "u:r:p:s0:c1", 11)`} {
		if i := strings.Index(text, want); i < joined {
			t.Errorf("%s at %d, behind %d wanted", want, i, joined)
		}
	}
	for field, change := range map[string]func(*specs.Process){
		"process.apparmorProfile": func(p *specs.Process) { p.ApparmorProfile = "docker-default" },
		"process.selinuxLabel":    func(p *specs.Process) { p.SelinuxLabel = "u:r:p:s0" },
	} {
		c := edit(t, func(s *specs.Spec) { change(s.Process) })
		r := execRequest(c, machine(t, "hybrid"))
		r.Facts.Files = nil
		if _, err := plan.CompileExec(r, joinable(c, "hybrid")); err == nil || !strings.Contains(err.Error(), field+": ") || !strings.Contains(err.Error(), "is not enabled on this machine") {
			t.Errorf("%s: %v", field, err)
		}
	}
}
