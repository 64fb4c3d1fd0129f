// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// TestResctrl follows the host steps on a tree of plain directories: a machine
// with resctrl is rare.
func TestResctrl(t *testing.T) {
	root := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	lock, err := os.Open(t.TempDir())
	must(err)
	defer lock.Close()
	m := &maker{state: &State{ID: "c1", lock: int(lock.Fd())}}
	m.process = 42
	group := filepath.Join(root, "c1")
	must(m.resctrl(&plan.HostStep{Do: plan.OwnGroup, Path: group}))
	if len(m.state.Groups) != 1 || m.state.Groups[0] != group {
		t.Errorf("the journal has %q", m.state.Groups)
	}
	for _, name := range []string{"tasks", "schemata"} {
		must(os.WriteFile(filepath.Join(group, name), nil, 0o644))
	}
	must(m.resctrl(&plan.HostStep{Do: plan.JoinGroup, Path: group + "/tasks", Value: "PID"}))
	if data, _ := os.ReadFile(group + "/tasks"); string(data) != "42" {
		t.Errorf("tasks: %q", data)
	}
	must(m.resctrl(&plan.HostStep{Do: plan.WriteSchemata, Path: group + "/schemata", Value: "L3:0=f\n"}))
	if data, _ := os.ReadFile(group + "/schemata"); string(data) != "L3:0=f\n" {
		t.Errorf("schemata: %q", data)
	}
	if err := m.resctrl(&plan.HostStep{Do: plan.OwnGroup, Path: group}); err == nil || !strings.Contains(err.Error(), "(EEXIST)") || len(m.state.Groups) != 1 {
		t.Errorf("a group of somebody else's: %v", err)
	}
	for _, name := range []string{"tasks", "schemata"} { // resctrl's directories go with what is in them
		must(os.Remove(filepath.Join(group, name)))
	}
	must(m.state.removeGroups())
	must(m.state.removeGroups()) // it may be called again
	if _, err := os.Stat(group); err == nil {
		t.Error("it is still there")
	}
}

func TestCompareSchemata(t *testing.T) {
	file := filepath.Join(t.TempDir(), "schemata")
	if err := os.WriteFile(file, []byte("    MB:0=100;1= 50\n    L3:0=00ff;1=00F0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for lines, want := range map[string]string{
		"L3:0=ff;1=f0\nMB:0=100\n": "", "L3:1=0f0\n": "", "": "", "L3:0=1\nL3:0=ff\n": "",
		"L3:0=f\n": "has L3:0=ff, not f", "L2:0=f\n": "has L2:0=, not f", "MB:2=50\n": "has MB:2=, not 50",
	} {
		err := compareSchemata(file, lines)
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", lines, err, want)
		}
	}
}

// TestChangeSchemata: all lines are written, or what was there is written again.
func TestChangeSchemata(t *testing.T) {
	file := filepath.Join(t.TempDir(), "schemata")
	has := func(want string) {
		t.Helper()
		if got, err := os.ReadFile(file); string(got) != want {
			t.Errorf("schemata: %q, want %q, %v", got, want, err)
		}
	}
	if _, err := changeSchemata(file, "L3:0=f\n"); err == nil || !strings.Contains(err.Error(), "(ENOENT)") {
		t.Errorf("without a group: %v", err)
	}
	if err := os.WriteFile(file, []byte("L3:0=fff\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	putBack, err := changeSchemata(file, plan.Schemata(&specs.LinuxIntelRdt{L3CacheSchema: "L3:0=00f"}))
	if err != nil {
		t.Fatal(err)
	}
	has("L3:0=00f\n")
	putBack()
	has("L3:0=fff\n")
}

// TestUpdateGroup: the group is that of the config that was kept.
func TestUpdateGroup(t *testing.T) {
	s := &State{ID: "c1", dir: t.TempDir()}
	update := func(text string, r specs.LinuxIntelRdt) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(s.dir, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.updateGroup(&r); err != nil {
			return fail.Reason(err)
		}
		return ""
	}
	l3 := specs.LinuxIntelRdt{L3CacheSchema: "L3:0=f"}
	const none = "config.json linux.intelRdt: the container was created without linux.intelRdt"
	for _, c := range []struct {
		text string
		have specs.LinuxIntelRdt
		want string
	}{
		{`{`, specs.LinuxIntelRdt{}, ""}, // nothing is looked at
		{`{}`, l3, none},
		{`{"linux":{}}`, l3, none},
		{`{"linux":{"intelRdt":{}}}`, l3, "/sys/fs/resctrl/c1/schemata: no such file or directory (ENOENT)"},
		{`{"linux":{"intelRdt":{"closID":"no such"}}}`, specs.LinuxIntelRdt{MemBwSchema: "MB:0=5"}, "/sys/fs/resctrl/no such/schemata: no such file or directory (ENOENT)"},
	} {
		if got := update(c.text, c.have); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.text, got, c.want)
		}
	}
}
