// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestRootCgroupDevices opens devices under lists of rules. The nodes are the
// host's: what decides is the cgroup.
func TestRootCgroupDevices(t *testing.T) {
	deny := specs.LinuxDeviceCgroup{Allow: false, Access: "rwm"}
	kmsg := func(allow bool, access string) specs.LinuxDeviceCgroup {
		return specs.LinuxDeviceCgroup{Allow: allow, Type: "c", Major: ptr[int64](1), Minor: ptr[int64](11), Access: access}
	}
	const (
		null      = "echo > /dev/null && cat < /dev/null"
		random    = "head -c 1 /dev/urandom | wc -c | grep -qx 1"
		readKmsg  = "exec 3< /dev/kmsg"
		writeKmsg = "exec 3> /dev/kmsg"
		bothKmsg  = "exec 3<> /dev/kmsg"
		make8     = `mknod "$TMPDIR/node" b 8 250 && rm "$TMPDIR/node"`
	)
	for _, c := range []struct {
		name  string
		rules []specs.LinuxDeviceCgroup
		can   []string
		not   []string
	}{
		{"no rules", nil, []string{null, random, make8}, []string{readKmsg, writeKmsg}},
		{"all denied", []specs.LinuxDeviceCgroup{deny}, []string{null, random, make8}, []string{readKmsg, writeKmsg}},
		{"one allowed for reading", []specs.LinuxDeviceCgroup{deny, kmsg(true, "r")}, []string{null, readKmsg}, []string{writeKmsg, bothKmsg}},
		{"allowed, then denied for writing", []specs.LinuxDeviceCgroup{deny, kmsg(true, "rwm"), kmsg(false, "w")}, []string{readKmsg}, []string{writeKmsg, bothKmsg}},
		{"denied, then allowed", []specs.LinuxDeviceCgroup{kmsg(false, "rwm"), kmsg(true, "rwm")}, []string{readKmsg, writeKmsg, bothKmsg}, nil},
		{"privileged", []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}, []string{null, readKmsg, bothKmsg, make8}, nil},
		{"privileged but for one", []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}, kmsg(false, "w")}, []string{null, readKmsg, make8}, []string{writeKmsg, bothKmsg}},
		{"allowed, then all denied", []specs.LinuxDeviceCgroup{kmsg(true, "rwm"), deny}, []string{null}, []string{readKmsg}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			b := newBox(t, &specs.LinuxResources{Devices: c.rules})
			for _, script := range c.can {
				if output, err := b.run(script); err != nil {
					t.Errorf("cannot %s: %v %s", script, err, output)
				}
			}
			for _, script := range c.not {
				if _, err := b.run(script); err == nil {
					t.Errorf("can %s", script)
				}
			}
		})
	}
}
