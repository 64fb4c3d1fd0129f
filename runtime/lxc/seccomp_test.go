// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package lxc

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// policyOf converts a container with a policy.
func policyOf(policy, goarch string) (*Result, error) {
	r := request("x", "lxc.rootfs.path = /r\nlxc.seccomp.profile = /policy\n")
	read := r.Read
	r.Arch = goarch
	r.Read = func(file string) (string, error) {
		if file == "/policy" {
			if policy == "" {
				return "", os.ErrNotExist
			}
			return policy, nil
		}
		return read(file)
	}
	return Convert(r)
}

func TestSeccomp(t *testing.T) {
	const x86 = `"architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32"]`
	for _, c := range []struct{ name, arch, policy, want, left string }{
		{"denylist", "amd64", "2\ndenylist\nreject_force_umount  # comment\n\n[all]\n# more\nkexec_load errno 1\nmknod\ntrapped trap\n",
			`{"defaultAction":"SCMP_ACT_ALLOW",` + x86 + `,"syscalls":[` +
				`{"names":["umount2"],"action":"SCMP_ACT_ERRNO","errnoRet":13,"args":[{"index":1,"value":1,"valueTwo":1,"op":"SCMP_CMP_MASKED_EQ"}]},` +
				`{"names":["kexec_load"],"action":"SCMP_ACT_ERRNO","errnoRet":1},{"names":["mknod"],"action":"SCMP_ACT_KILL"},{"names":["trapped"],"action":"SCMP_ACT_TRAP"}]}`, ""},
		{"allowlist", "arm64", "2\nwhitelist errno 38\nread\n[arm64]\nwrite\n[x86]\nopen\n[arm]\nclose\n[ppc]\nfork",
			`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_AARCH64","SCMP_ARCH_ARM"],"syscalls":[` +
				`{"names":["read"],"action":"SCMP_ACT_ALLOW"},{"names":["write"],"action":"SCMP_ACT_ALLOW"},{"names":["close"],"action":"SCMP_ACT_ALLOW"}]}`, ""},
		{"conditions", "amd64", "2\nallowlist\n[x86_64]\nclone allow [0,0x7e020000,SCMP_CMP_MASKED_EQ,0xff] [1,5,!=]\n[x32]\nioctl kill [1, 010, <=]\n[arm64]\nopen\n",
			`{"defaultAction":"SCMP_ACT_KILL",` + x86 + `,"syscalls":[` +
				`{"names":["clone"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":255,"valueTwo":2114060288,"op":"SCMP_CMP_MASKED_EQ"},{"index":1,"value":5,"op":"SCMP_CMP_NE"}]},` +
				`{"names":["ioctl"],"action":"SCMP_ACT_KILL","args":[{"index":1,"value":8,"op":"SCMP_CMP_LE"}]}]}`, ""},
		{"asked outside", "amd64", "2\ndenylist\nmount notify\n",
			`{"defaultAction":"SCMP_ACT_ALLOW",` + x86 + `,"syscalls":[{"names":["mount"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}`, "/policy:3: asks a program outside"},
		{"version 1", "amd64", "1\nallowlist\n0\n1\n", `null`, "only policies of version 2"},
	} {
		r, err := policyOf(c.policy, c.arch)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		text, err := json.Marshal(r.Spec.Linux.Seccomp)
		if err != nil || string(text) != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s, %v", c.name, text, c.want, err)
		}
		left := ""
		for _, l := range r.Left {
			left += l.Why
		}
		if !strings.Contains(left, c.left) || c.left == "" && left != "" {
			t.Errorf("%s: left %q, want %q", c.name, left, c.left)
		}
		valid(t, r.Spec)
	}
}

// TestSeccompBad: LXC would not start either.
func TestSeccompBad(t *testing.T) {
	for policy, want := range map[string]string{
		"":                                "/policy: cannot be read: file does not exist",
		"2\nlist\n":                       "/policy:2: list is neither denylist nor allowlist",
		"2\ndenylist maybe\n":             "/policy:2: unknown action maybe",
		"2\ndenylist\nread errno\n":       "/policy:3: errno  is no errno",
		"2\ndenylist\nread errno 5000\n":  "/policy:3: errno 5000 is no errno",
		"2\ndenylist\n\nread [0,1,==]\n":  "",
		"2\ndenylist\nread kill [6,1,==]": "/policy:3: [6,1,==] is not [INDEX,VALUE,OP]",
		"2\ndenylist\nread kill [0,1,~]":  "[0,1,~] is not",
		"2\ndenylist\nread kill [0,x,==]": "[0,x,==] is not",
		"2\ndenylist\nread kill [0,1]":    "[0,1] is not",
	} {
		_, err := policyOf(policy, "amd64")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), "config:2: lxc.seccomp.profile = /policy: ") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", policy, err, want)
		}
	}
}
