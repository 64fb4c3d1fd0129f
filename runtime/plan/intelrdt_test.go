// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan_test

import (
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// TestIntelRdt: whose a group is, what is written to it and in which order.
func TestIntelRdt(t *testing.T) {
	const join = " write /sys/fs/resctrl"
	for _, c := range []struct {
		name   string
		have   specs.LinuxIntelRdt
		absent bool // the group that closID names
		want   []string
	}{
		{"own", specs.LinuxIntelRdt{}, false, []string{" make the group /sys/fs/resctrl/c1", join + `/c1/tasks "PID"`}},
		{"order", specs.LinuxIntelRdt{L3CacheSchema: "L3:0=f", MemBwSchema: "MB:0=50", Schemata: []string{"L3:0=ff", "L2:0=1"}}, false,
			[]string{" make the group /sys/fs/resctrl/c1", join + `/c1/schemata "L3:0=f\nMB:0=50\nL3:0=ff\nL2:0=1\n"`, join + `/c1/tasks "PID"`}},
		{"default group", specs.LinuxIntelRdt{ClosID: "/"}, false, []string{join + `/tasks "PID"`}},
		{"named, there", specs.LinuxIntelRdt{ClosID: "gold"}, false, []string{join + `/gold/tasks "PID"`}},
		{"named, there, schemas", specs.LinuxIntelRdt{ClosID: "gold", MemBwSchema: "MB:0=50"}, false,
			[]string{` compare /sys/fs/resctrl/gold/schemata with "MB:0=50\n"`, join + `/gold/tasks "PID"`}},
		{"named, made", specs.LinuxIntelRdt{ClosID: "gold", MemBwSchema: "MB:0=50"}, true,
			[]string{" make the group /sys/fs/resctrl/gold", join + `/gold/schemata "MB:0=50\n"`, join + `/gold/tasks "PID"`}},
		{"monitoring", specs.LinuxIntelRdt{ClosID: "gold", EnableMonitoring: true}, false,
			[]string{" make the group /sys/fs/resctrl/gold/mon_groups/c1", join + `/gold/tasks "PID"`, join + `/gold/mon_groups/c1/tasks "PID"`}},
	} {
		p, err := compileOn(edit(t, func(s *specs.Spec) { s.Linux.IntelRdt = &c.have }), machine(t, "hybrid"), func(f *facts.Facts) {
			if c.absent {
				f.Files[plan.Resctrl+"/gold"] = facts.Kind{}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		sound(t, p)
		var got []string
		for _, l := range lines(p.Text(), "linux.intelRdt") {
			l, _, _ = strings.Cut(l, " linux.intelRdt")
			got = append(got, l)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}
