// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan_test

import (
	"encoding/json"
	"flag"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/prog"
)

var update = flag.Bool("update", false, "rewrite the golden plans")

// machine reads the facts of a machine.
func machine(t testing.TB, name string) facts.Facts {
	t.Helper()
	var f facts.Facts
	data, err := os.ReadFile("testdata/facts/" + name + ".json")
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// hostFiles says what lies at host paths on our machines: what engines bind on
// files are files by these names, below /dev are devices, all else is directories.
func hostFiles(paths []string) map[string]facts.Kind {
	names := []string{"resolv.conf", "hostname", "hosts", "group", ".containerenv", "etc-hosts", "1f0c2b5a"}
	kinds := map[string]facts.Kind{}
	for _, p := range paths {
		switch {
		case slices.Contains(names, path.Base(p)):
			kinds[p] = facts.Kind{Mode: linux.S_IFREG | 0o644}
		case strings.HasPrefix(p, "/dev/") && p != "/dev/shm":
			kinds[p] = facts.Kind{Mode: linux.S_IFCHR | 0o666, Rdev: 0x103}
		default:
			kinds[p] = facts.Kind{Mode: linux.S_IFDIR | 0o755}
		}
	}
	return kinds
}

func parse(t testing.TB, data []byte) *config.Config {
	t.Helper()
	c, err := config.Parse(data)
	if err == nil {
		err = config.Validate(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func compile(c *config.Config, f facts.Facts) (*plan.Plan, error) {
	f.Files = hostFiles(plan.HostPaths("/bundle", &c.Spec))
	return plan.Compile(request(c, f))
}

// request is for the driver that the form of cgroupsPath is for.
func request(c *config.Config, f facts.Facts) plan.Request {
	r := plan.Request{ID: "c1", Bundle: "/bundle", Config: c, Facts: f}
	if c.Linux != nil && strings.Count(c.Linux.CgroupsPath, ":") == 2 {
		r.Cgroups = plan.Systemd
	}
	return r
}

// onV2 are the configs whose plans for a pure v2 machine are golden too: between
// them they have all that differs there.
var onV2 = []string{"docker-remapped", "lxc-system", "podman-mapped", "ctr-limits", "docker-limits", "docker-privileged", "kube-container", "podman-limits", "podman-userns", "runc-spec",
	"docker-systemd", "kube-systemd", "podman-systemd"}

// notOnHybrid are those that only v2 can do.
var notOnHybrid = []string{"podman-systemd"} // run.oci.delegate-cgroup

// TestGolden compares the plans of the configs of engines with
// testdata/plans/NAME.MACHINE.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/configs/*.json")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d configs, %v", len(files), err)
	}
	want := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, on := range []string{"hybrid", "v2", "user"} {
			if on == "v2" && !slices.Contains(onV2, name) || on == "hybrid" && slices.Contains(notOnHybrid, name) || on == "user" && name != "runc-spec-rootless" {
				continue
			}
			golden := "testdata/plans/" + name + "." + on
			want[golden] = true
			t.Run(name+"."+on, func(t *testing.T) { compareGolden(t, golden, data, on) })
		}
	}
	found, _ := filepath.Glob("testdata/plans/*")
	for _, f := range found {
		if !want[f] {
			t.Errorf("%s is the plan of no config", f)
		}
	}
}

// columns are what stands between the columns of a plan: their width, which
// one long line sets for all, is left out of the golden files.
var columns = regexp.MustCompile(` {3,}`)

func compareGolden(t *testing.T, golden string, data []byte, on string) {
	c := parse(t, data)
	p, err := compile(c, machine(t, on))
	if err != nil {
		t.Fatal(err)
	}
	sound(t, p)
	matchGolden(t, golden, p)
	compareRun(t, c, machine(t, on), p)
}

// compareRun: what run does is what create and start do, but for the one waiting for
// the other.
func compareRun(t *testing.T, c *config.Config, f facts.Facts, created *plan.Plan) {
	t.Helper()
	f.Files = hostFiles(plan.HostPaths("/bundle", &c.Spec))
	r := request(c, f)
	r.Start = true
	p, err := plan.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, p)
	var want, got []string
	for _, l := range created.Lines() {
		if !slices.Contains([]string{"listen for start", "wait for start", "report to it", "let the launch program go on"}, l.Doing) {
			want = append(want, l.Doing+" for "+l.From)
		}
	}
	for _, l := range p.Lines() {
		if l.Doing != "note that it is not started" {
			got = append(got, l.Doing+" for "+l.From)
		}
	}
	if diff := firstDifference(strings.Join(got, "\n"), strings.Join(want, "\n")); !slices.Equal(got, want) || !p.Starts || created.Starts {
		t.Errorf("run: %s", diff)
	}
}

func matchGolden(t *testing.T, golden string, p *plan.Plan) {
	t.Helper()
	got := columns.ReplaceAllString(p.Text(), "  ")
	for _, w := range p.Warnings {
		got += "warning: " + w + "\n"
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs: %s\n(go test ./runtime/plan -update rewrites it)", golden, firstDifference(got, string(want)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "\n got " + g[i] + "\nwant " + w[i]
		}
	}
	return "one is longer"
}

// sound checks what must hold of every plan.
func sound(t testing.TB, p *plan.Plan) {
	t.Helper()
	if err := p.Init.Check(); err != nil {
		t.Error(err)
	}
	opened := make([]int, len(p.Init.Inputs))
	spawned, sent := false, prog.Input(0)
	// start takes the steps at the first two; at the third nothing waits.
	gates := map[int]bool{int(plan.AtStart): true, int(plan.AboutToRun): true, int(plan.Console): true, int(plan.Listening): p.Listener != 0}
	last := -1
	for _, g := range p.Gates {
		if g.Step <= last || g.Step >= len(p.Init.Steps) {
			t.Errorf("gate %d is at step %d, the one before at %d", g.Mark, g.Step, last)
		}
		gates[int(g.Mark)], last = true, g.Step
	}
	for _, h := range p.Host {
		switch h.Do {
		case plan.Socketpair, plan.Listen, plan.OpenTasks, plan.OpenNamespace, plan.CloneTree, plan.MakeFS, plan.CloneDevice, plan.StateFile, plan.OutputFile, plan.AppendTo:
			opened[h.Input]++
			if late := int(h.Input) >= p.Init.Early; spawned != late || h.Input < sent {
				t.Errorf("%s: late is %v, and the process is started before: %v, and inputs up to %d are sent", h.Doing, late, spawned, sent)
			}
		case plan.Spawn:
			spawned = true
		case plan.SendInputs:
			if h.Input < sent || h.Input > sent+plan.MaxSent+prog.Input(p.Init.Early) {
				t.Errorf("inputs up to %d are sent after those up to %d", h.Input, sent)
			}
			sent = h.Input
		}
		if h.At != plan.AtSpawn && !gates[int(h.At)] {
			t.Errorf("%s: there is no gate %d", h.Doing, h.At)
		}
		if h.Doing == "" && h.Op == nil {
			t.Errorf("a host step of kind %d does not say what it is for", h.Do)
		}
	}
	if !spawned || int(sent) != len(p.Init.Inputs) {
		t.Errorf("started: %v, inputs sent: %d of %d", spawned, sent, len(p.Init.Inputs))
	}
	for i, n := range opened {
		if n != 1 {
			t.Errorf("input %s is opened by %d host steps", p.Init.Inputs[i], n)
		}
	}
	program := slices.ContainsFunc(p.Host, func(h plan.HostStep) bool { return h.Do == plan.FindProgram })
	if !p.Starts && p.Init.Steps[p.Accept].Call != prog.Accept4 || program != (p.Init.Steps[p.Execve].Call == prog.Execve) {
		t.Errorf("steps %d and %d are no accept4 and execve", p.Accept, p.Execve)
	}
	steps := 0
	for _, l := range p.Lines() {
		if l.Step >= 0 {
			steps++
		}
		if l.Call == "" || l.Call == "unknown" || l.Doing == "" {
			t.Errorf("line %+v", l)
		}
	}
	if steps != len(p.Init.Steps) || len(p.Lines()) != steps+len(p.Host) {
		t.Errorf("%d lines for %d steps and %d host steps", len(p.Lines()), len(p.Init.Steps), len(p.Host))
	}
}

// edit is a small config after a change.
func edit(t testing.TB, change func(*specs.Spec)) *config.Config {
	t.Helper()
	data, err := os.ReadFile("testdata/configs/runc-spec.json")
	if err != nil {
		t.Fatal(err)
	}
	var s specs.Spec
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	s.Process.Terminal = false
	change(&s)
	if data, err = json.Marshal(s); err != nil {
		t.Fatal(err)
	}
	return parse(t, data)
}
