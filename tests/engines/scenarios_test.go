// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package engines_test

import (
	"strings"
	"testing"
)

// A scenario is one container that ends by itself: the engine's flags, the script
// that runs in it, what that prints, and the engine's exit status.
type scenario struct {
	name, flags, script, prints string
	code                        int
}

// docker and podman have most flags in common.
var everywhere = []scenario{
	{"hello", "", "echo hello", "hello", 0},
	{"exit status", "", "exit 17", "", 17},
	{"user", "-u app", "id", "uid=1000(app) gid=1000(app) groups=1000(app),2000(extra)", 0},
	{"bind", "-v /etc/docker:/h:ro", "ls /h/daemon.json; ! touch /h/x && echo ro", "daemon.json\nro", 0},
	{"volume", "-v /var/full", "cat /var/full/seed", "from the image", 0},
	{"capabilities", "--cap-drop all --cap-add net_raw", "grep CapEff /proc/self/status", "0000000000002000", 0},
	{"seccomp", "", "grep Seccomp: /proc/self/status", "Seccomp:\t2", 0},
	{"memory", "-m 64m", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864", 0},
	{"processes", "--pids-limit 12", "cat /sys/fs/cgroup/pids/pids.max", "12", 0},
	{"no network", "--network none", "ip link | grep -c ^[0-9]", "1", 0},
	{"out of memory", "-m 16m --memory-swap 16m", "tail /dev/zero", "", 137},
}

// play runs the scenarios: run is the engine's command, up to the program.
func play(t *testing.T, run func(testing.TB, []string, ...string) said, scenarios ...scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			run(t, strings.Fields(s.flags), "sh", "-c", s.script).exits(s.code).prints(s.prints)
		})
	}
}
