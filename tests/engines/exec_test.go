// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package engines_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestDockerExec: more processes of a container, and health checks, which are such.
func TestDockerExec(t *testing.T) {
	startDocker(t)
	id := detached(t, "one", "-e", "A=b")
	for _, c := range []struct {
		name, flags, script, prints string
		code                        int
	}{
		{"hello", "", "echo $A hello", "b hello", 0},
		{"exit status", "", "exit 17", "", 17},
		{"signal", "", "kill -9 $$", "", 137},
		{"user", "-u app", "id", "uid=1000(app) gid=1000(app) groups=1000(app),2000(extra)", 0},
		{"environment", "-e A=c", "echo $A", "c", 0},
		{"working directory", "-w /var", "pwd", "/var", 0},
		{"privileged not", "", "grep CapEff /proc/self/status", "00000000a80425fb", 0},
		{"terminal", "-t", "tty", "/dev/pts/", 0},
		{"detached", "-d", "echo x >/made", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"exec"}, strings.Fields(c.flags)...)
			docker(t, append(args, "one", "sh", "-c", c.script)...).exits(c.code).prints(c.prints)
		})
	}
	docker(t, "exec", "one", "no-such-program").exits(126).prints(`exec: "no-such-program": executable file not found in $PATH`) // 20.10 says 126
	docker(t, "exec", "one", "/etc/notexec").exits(126)
	callWith(t, "from outside\n", "docker", "exec", "-i", "one", "cat").exits(0).prints("from outside")
	call(t, "script", "-qec", "docker exec -it one sh -c 'test -t 0 && test -t 1 && echo a terminal'", "/dev/null").
		exits(0).prints("a terminal")
	docker(t, "pause", "one").exits(0)
	docker(t, "exec", "one", "true").exits(1).complains("paused")
	docker(t, "unpause", "one").exits(0)
	limit(t, "docker/"+id, "9223372036854771712")
}

func TestDockerExecMany(t *testing.T) {
	startDocker(t)
	detached(t, "one")
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			text := fmt.Sprint("number ", i)
			docker(t, "exec", "one", "echo", text).exits(0).prints(text)
		})
	}
	all.Wait()
}

func TestDockerHealth(t *testing.T) {
	startDocker(t)
	detached(t, "well", "--health-cmd", "test -e /etc/passwd", "--health-interval", "1s")
	detached(t, "ill", "--health-cmd", "false", "--health-interval", "1s", "--health-retries", "1")
	for name, want := range map[string]string{"well": "healthy", "ill": "unhealthy"} {
		eventually(t, name+" is "+want, func() bool {
			return docker(t, "inspect", "-f", "{{.State.Health.Status}}", name).line() == want
		})
	}
}

func TestContainerdExec(t *testing.T) {
	startContainerd(t, "default")
	ctrRun(t, "one", "-d", "sleep", "1000").ok()
	run := func(id string, program ...string) said {
		return ctr(t, append([]string{"tasks", "exec", "--exec-id", id, "one"}, program...)...)
	}
	run("a", "echo", "hello").exits(0).prints("hello")
	run("b", "sh", "-c", "exit 17").exits(17)
	run("c", "no-such-program").exits(1).complains(`exec: "no-such-program": executable file not found in $PATH`)
	ctr(t, "tasks", "rm", "-f", "one").exits(0).complains("137")
	ctr(t, "containers", "rm", "one").exits(0)
}

func TestPodmanExec(t *testing.T) {
	startPodman(t)
	podman(t, "run", "-d", "--name", "one", "--health-cmd", "test -e /etc/passwd", busybox, "sleep", "1000").ok()
	podman(t, "exec", "one", "echo", "hello").exits(0).prints("hello")
	podman(t, "exec", "one", "sh", "-c", "exit 17").exits(17)
	podman(t, "exec", "-u", "app", "one", "id").exits(0).prints("uid=1000(app) gid=1000(app)")
	podman(t, "exec", "-e", "A=b", "-w", "/var", "one", "sh", "-c", "echo $A; pwd").exits(0).prints("b\n/var")
	podman(t, "exec", "-t", "one", "tty").exits(0).prints("/dev/pts/")
	podman(t, "exec", "--privileged", "one", "true").exits(0)
	podman(t, "exec", "--preserve-fds", "0", "one", "true").exits(0)
	callWith(t, "from outside\n", "podman", "exec", "-i", "one", "cat").exits(0).prints("from outside")
	podman(t, "exec", "-d", "one", "touch", "/made").exits(0)
	podman(t, "exec", "one", "no-such-program").exits(127)
	podman(t, "exec", "one", "/etc/notexec").exits(126)
	podman(t, "healthcheck", "run", "one").exits(0)
}

// TestCRIExec is kubectl exec and a probe.
func TestCRIExec(t *testing.T) {
	sandbox, id := startPod(t)
	crictl(t, "exec", "-s", id, "echo", "hello").exits(0).prints("hello")
	crictl(t, "exec", id, "id", "-u").exits(0).prints("1000")
	crictl(t, "exec", "-s", id, "sh", "-c", "exit 17").exits(1).complains("17")
	crictl(t, "rmp", "-f", sandbox).exits(0)
}
