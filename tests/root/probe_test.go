// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/facts"
)

// A script changes the mounts of a namespace of its own. "$dir" is a directory for its
// use, and $in is a command that calls another one.
const (
	// conventional mounts all hierarchies of version 1 and that of version 2 beside them.
	conventional = `umount -R /sys/fs/cgroup; mount -t tmpfs none /sys/fs/cgroup; cd /sys/fs/cgroup
		while IFS=: read -r id list path; do case $list in
			'') at=unified kind=cgroup2 list=rw ;;
			name=*) at=${list#name=} kind=cgroup list=none,$list ;;
			*) at=$list kind=cgroup ;;
		esac; mkdir $at; mount -t $kind -o $list none $at; done </proc/self/cgroup; `
	onRoot        = "mount -t tmpfs none /; "
	withoutMounts = "mount --bind /dev/null /proc/$$/mountinfo; "
	plainRoot     = `mount -t tmpfs none $dir; for d in /*/; do mkdir -p $dir/root$d; mount --rbind $d $dir/root$d; done; in="chroot $dir/root"; `
	linkedSys     = `mount -t tmpfs none $dir; for d in /*/; do at=$dir$d; if [ $d = /sys/ ]; then at=$dir/real; ln -s real $dir/sys; fi
		mkdir -p $at; mount --rbind $d $at; done; in="chroot $dir"; `
	ownNamespace = `in="unshare --cgroup"; `
)

type probed struct {
	name, script string
	quick        bool // no mountinfo is needed
}

var probedV1 = []probed{
	{"by convention", conventional, true},
	{"a line without a mount", conventional + "umount memory; ", false},
	{"elsewhere", conventional + "mkdir other; mount --move memory other; ", false},
	{"behind a link", conventional + "mkdir other; mount --move memory other; rmdir memory; ln -s other memory; ", false},
	{"each in the other's place", conventional + "mkdir other; mount --move memory other; mount --move pids memory; mount --move other pids; ", false},
	{"a part", conventional + "mount --bind memory/coracle-probe memory; ", false},
	{"v2 elsewhere", conventional + "mkdir other; mount --move unified other; ", false},
	{"another file system", conventional + "umount unified; mount -t tmpfs none unified; ", false},
	{"a cgroup namespace", conventional + ownNamespace, false},
	{"two roots", conventional + onRoot, false},
	{"a root that is no mount", conventional + plainRoot, false},
	{"a link on the way", conventional + linkedSys, false},
}

var probedV2 = []probed{
	{"as it is", "", true},
	{"elsewhere", "mount --move /sys/fs/cgroup $dir; ", false},
	{"a part", "mount --bind /sys/fs/cgroup/coracle-probe /sys/fs/cgroup; ", false},
	{"a cgroup namespace", ownNamespace, false},
	{"two roots", onRoot, false},
	{"a root that is no mount", plainRoot, false},
	{"a link on the way", linkedSys, false},
}

// TestRootProbe: where the hierarchies are where they are by convention, the facts
// are those of /proc/self/mountinfo, which is not read; elsewhere it is.
func TestRootProbe(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("unshare"))
	testkit.NoLeaks(t)
	v := newVessel(t)
	cases, part := probedV1, "/sys/fs/cgroup/memory/coracle-probe"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		cases, part = probedV2, "/sys/fs/cgroup/coracle-probe"
	}
	must(t, os.Mkdir(part, 0o755))
	t.Cleanup(func() { must(t, os.Remove(part)) })
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			have, read, blind := v.facts(t, c.script)
			if len(have.Cgroup.V1) == 0 && have.Cgroup.V2 == nil {
				t.Fatalf("no hierarchy: %+v", have)
			}
			var want facts.Facts
			if c.quick && (len(have.Cgroup.V1) == 0 || have.AtLeast(6, 11)) { // statmount(2) with options
				want = have
			}
			if blind.RootMounts != want.RootMounts || text(t, blind.Cgroup) != text(t, want.Cgroup) {
				t.Errorf("without mountinfo: got %d %s\nwant %d %s", blind.RootMounts, text(t, blind.Cgroup), want.RootMounts, text(t, want.Cgroup))
			}
			slices.SortFunc(have.Cgroup.V1, byMount)
			slices.SortFunc(read.Cgroup.V1, byMount)
			if read.RootMounts != have.RootMounts+1 || text(t, read.Cgroup) != text(t, have.Cgroup) {
				t.Errorf("got %d %s\nand of mountinfo with one more root %d %s", have.RootMounts, text(t, have.Cgroup), read.RootMounts, text(t, read.Cgroup))
			}
		})
	}
}

// facts is what coracle says of the machine after a script, with one more root, and
// without mountinfo. Meanwhile nothing is unmounted, with which a hierarchy may go.
func (v vessel) facts(t *testing.T, script string) (have, read, blind facts.Facts) {
	t.Helper()
	script = "dir=$1 in=; shift; " + script
	for _, last := range []string{"", onRoot, withoutMounts} {
		script += `unshare --mount $in sh -ec '` + last + `exec "$@"' sh "$@"; `
	}
	shell := []string{"--mount", "sh", "-ec", script, "sh", t.TempDir()}
	got := finish(t, exec.Command("unshare", append(shell, v.command("plan", "--show-facts", v.bundle).Args...)...))
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	answers := json.NewDecoder(strings.NewReader(got.stdout))
	for _, f := range []*facts.Facts{&have, &read, &blind} {
		must(t, answers.Decode(f))
	}
	return have, read, blind
}

func byMount(a, b facts.Hierarchy) int { return cmp.Compare(a.Mount, b.Mount) }

func text(t *testing.T, c facts.Cgroup) string {
	t.Helper()
	text, err := json.Marshal(c)
	must(t, err)
	return string(text)
}
