// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package engines_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// dockerStates is where dockerd has its runtime keep states. Docker 20.10 calls the
// directory so whatever the runtime's name is.
const dockerStates = "/run/docker/runtime-runc/moby"

// startDocker starts it with the configuration that we ship, our image loaded. It
// makes its own bridge; iptables has nothing to do in a network without others.
func startDocker(t *testing.T) {
	t.Helper()
	testkit.Need(t, testkit.Root, testkit.Tool("dockerd"), testkit.Tool("docker"))
	nothingLeft(t, dockerStates)
	archives, _ := images(t)
	serveDocker(t)
	for _, archive := range archives {
		docker(t, "load", "-i", archive).ok()
	}
	t.Cleanup(func() {
		if ids := strings.Fields(docker(t, "ps", "-aq").stdout); len(ids) > 0 {
			docker(t, append([]string{"rm", "-f"}, ids...)...).exits(0)
		}
	})
}

func serveDocker(t *testing.T) {
	t.Helper()
	serve(t, "/run/docker.sock", "dockerd", "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--bip=172.30.0.1/24")
}

func docker(t testing.TB, args ...string) said {
	t.Helper()
	return call(t, "docker", args...)
}

// detached starts a container that waits, and returns its id.
func detached(t testing.TB, name string, flags ...string) string {
	t.Helper()
	args := append([]string{"run", "-d", "--name", name}, flags...)
	return docker(t, append(args, busybox, "sleep", "1000")...).ok().line()
}

const busybox = "localhost/busybox:1"

// dockerRun is docker run of our image, whose container is removed.
func dockerRun(t testing.TB, flags []string, program ...string) said {
	t.Helper()
	args := append(append([]string{"run", "--rm"}, flags...), busybox)
	return docker(t, append(args, program...)...)
}

// TestDockerRun: docker run with one flag after another: what the container
// prints, and what docker exits with.
func TestDockerRun(t *testing.T) {
	startDocker(t)
	play(t, dockerRun, everywhere...)
	play(t, dockerRun, []scenario{
		{"signal", "", "sh -c 'kill -9 $$'; exit $?", "", 137},
		{"environment", "-e A=b", "echo $A $FROM_IMAGE", "b yes", 0},
		{"group", "-u 5:6 --group-add 7", "id", "uid=5 gid=6 groups=6,7", 0},
		{"working directory", "-w /var/new/dir", "pwd", "/var/new/dir", 0},
		{"host name", "-h vessel", "hostname", "vessel", 0},
		{"read-only", "--read-only --tmpfs /t", "! touch /x && touch /t/x && echo only there", "only there", 0},
		{"tmpfs", "--tmpfs /t:size=64k,mode=1770", "stat -c %a /t; df -k /t | tail -n 1", "1770\ntmpfs                       64", 0},
		{"mount", "--mount type=bind,src=/etc/docker/daemon.json,dst=/etc/one", "cat /etc/one", "default-runtime", 0},
		{"no new privileges", "--security-opt no-new-privileges", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1", 0},
		{"seccomp stops", "", "unshare -m true 2>&1 || true", "Operation not permitted", 0},
		{"unconfined", "--security-opt seccomp=unconfined", "grep Seccomp: /proc/self/status", "Seccomp:\t0", 0},
		{"cpus", "--cpus 0.5 --cpuset-cpus 0", "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpuset/cpuset.cpus", "50000\n0", 0},
		{"ulimit", "--ulimit nofile=100:200", "ulimit -n; ulimit -Hn", "100\n200", 0},
		{"sysctl", "--sysctl net.ipv4.ip_forward=0", "cat /proc/sys/net/ipv4/ip_forward", "0", 0},
		{"device", "--device /dev/null:/dev/mine", "echo x >/dev/mine && ls -l /dev/mine", "1,   3", 0},
		{"init", "--init", "cat /proc/1/comm", "docker-init", 0},
		{"privileged", "--privileged", "mount -t tmpfs none /tmp && grep Seccomp: /proc/self/status", "Seccomp:\t0", 0},
		{"host's PIDs", "--pid host", "ps | grep -c dockerd", "", 0},
		{"host's network", "--network host", "ip link show docker0 | head -n 1", "docker0", 0},
		{"network", "", "ip addr show eth0; cat /etc/resolv.conf >/dev/null", "172.30.0.", 0},
		{"shared memory", "--shm-size 1m", "df -k /dev/shm | tail -n 1", "1024", 0},
		{"masked", "", "cat /proc/kcore | wc -c; ls /proc/acpi /proc/scsi 2>/dev/null | wc -l", "0", 0},
	}...)
}

// TestDockerFailures: what cannot be executed has exit statuses of its own, which
// docker takes from the runtime's words.
func TestDockerFailures(t *testing.T) {
	startDocker(t)
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"not in PATH", []string{busybox, "no-such-program"}, 127, `exec: "no-such-program": executable file not found in $PATH`},
		{"no such file", []string{busybox, "/no/such/file"}, 127, `exec: "/no/such/file": stat /no/such/file: no such file or directory`},
		{"not executable", []string{busybox, "/etc/notexec"}, 126, `exec: "/etc/notexec": permission denied`},
		{"unknown flag", []string{"--no-such-flag", busybox}, 125, "unknown flag"},
		{"a directory on a file", []string{"-v", "/etc:/etc/passwd", busybox, "true"}, 125, "Are you trying to mount a directory onto a file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			docker(t, append([]string{"run", "--rm"}, c.args...)...).exits(c.code).complains(c.says)
		})
	}
	docker(t, "run", "--rm", busybox, "/tmp").exits(126)
}

// TestDockerLife: what is done with a container that runs.
func TestDockerLife(t *testing.T) {
	startDocker(t)
	id := detached(t, "one", "-m", "64m")
	call(t, coracle, "--root", dockerStates, "list", "-q").ok().prints(id)
	docker(t, "top", "one").exits(0).prints("sleep 1000")
	docker(t, "stats", "--no-stream", "one").exits(0).prints("/ 64MiB")

	docker(t, "pause", "one").exits(0)
	docker(t, "inspect", "-f", "{{.State.Status}}", "one").exits(0).prints("paused")
	call(t, coracle, "--root", dockerStates, "state", id).exits(0).prints(`"status": "paused"`)
	docker(t, "unpause", "one").exits(0)

	docker(t, "update", "-m", "32m", "--memory-swap", "-1", "--cpus", "0.25", "one").exits(0)
	docker(t, "update", "--restart", "no", "one").exits(0)
	limit(t, "docker/"+id, "33554432")

	docker(t, "kill", "-s", "KILL", "one").exits(0)
	docker(t, "wait", "one").exits(0).prints("137")
	docker(t, "start", "one").exits(0)
	docker(t, "pause", "one").exits(0)
	docker(t, "stop", "-t", "1", "one").exits(0)
	docker(t, "restart", "-t", "0", "one").exits(0)
	docker(t, "rm", "-f", "one").exits(0)
}

// TestDockerLogs: output, logs, attach by a pseudo-terminal.
func TestDockerLogs(t *testing.T) {
	startDocker(t)
	docker(t, "run", "--name", "lines", busybox, "sh", "-c", "echo out; echo err >&2").exits(0)
	docker(t, "logs", "lines").exits(0).prints("out").complains("err")
	docker(t, "run", "--privileged", "--name", "warned", busybox, "true").exits(0)
	if logs := docker(t, "logs", "warned"); logs.stdout+logs.stderr != "" {
		t.Errorf("not from the container, and in its log: %q", logs.stdout+logs.stderr)
	}
	callWith(t, "from outside\n", "docker", "run", "--rm", "-i", busybox, "cat").exits(0).prints("from outside")
	docker(t, "run", "--rm", "-t", busybox, "sh", "-c", "tty; stty size; ls -l /dev/console").exits(0).prints("/dev/pts/0")
	terminal := call(t, "script", "-qec", "docker run --rm -it "+busybox+" sh -c 'test -t 0 && test -t 1 && echo a terminal'", "/dev/null")
	terminal.exits(0).prints("a terminal")
}

// TestDockerRestart: a policy, and docker's --restart with the container's end.
func TestDockerRestart(t *testing.T) {
	startDocker(t)
	docker(t, "run", "-d", "--name", "again", "--restart", "on-failure:2", busybox, "false").ok()
	eventually(t, "two restarts", func() bool {
		return docker(t, "inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "again").line() == "2 exited"
	})
}

// TestDockerOOM: docker is told by the cgroup, for which the init must be in it
// before create returns.
func TestDockerOOM(t *testing.T) {
	startDocker(t)
	docker(t, "run", "--name", "oom", "-m", "16m", "--memory-swap", "16m", busybox, "tail", "/dev/zero").exits(137)
	docker(t, "inspect", "-f", "{{.State.OOMKilled}}", "oom").exits(0).prints("true")
}

// TestDockerPort: somebody outside reaches a published port.
func TestDockerPort(t *testing.T) {
	startDocker(t)
	docker(t, "run", "-d", "--name", "web", "-p", "127.0.0.1:8099:80", busybox,
		"sh", "-c", "while :; do echo served | nc -l -p 80; done").ok()
	eventually(t, "the port answers", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:8099")
		if err != nil {
			return false
		}
		defer c.Close()
		answer := make([]byte, 6)
		n, _ := c.Read(answer)
		return string(answer[:n]) == "served"
	})
}

// TestDockerMany: twenty at once.
func TestDockerMany(t *testing.T) {
	startDocker(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			docker(t, "run", "--rm", busybox, "echo", fmt.Sprint("number ", i)).exits(0).prints(fmt.Sprint("number ", i))
		})
	}
	all.Wait()
}

// TestDockerVersion: what docker shows of the runtime.
func TestDockerVersion(t *testing.T) {
	startDocker(t)
	docker(t, "info", "-f", "{{.DefaultRuntime}}").exits(0).prints("coracle")
	docker(t, "inspect", "-f", "{{.HostConfig.Runtime}}", detached(t, "which")).exits(0).prints("coracle")
}

// TestDockerBuild: BuildKit and the classic builder. BuildKit looks for a runc in
// PATH, and there is none but the link to coracle.
func TestDockerBuild(t *testing.T) {
	startDocker(t)
	dir := t.TempDir()
	write := func(text string) {
		must(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o644))
	}
	for _, kit := range []string{"1", "0"} {
		t.Setenv("DOCKER_BUILDKIT", kit)
		write("FROM " + busybox + "\nARG KIT\nRUN echo made by $KIT >/made && id -u\nUSER app\nRUN id -u >/tmp/by\n")
		name := "built:" + kit
		docker(t, "build", "--build-arg", "KIT="+kit, "-t", name, dir).exits(0)
		docker(t, "run", "--rm", name, "cat", "/made", "/tmp/by").exits(0).prints("made by " + kit + "\n1000")
		write("FROM " + busybox + "\nRUN exit 17\n")
		if failed := docker(t, "build", dir); failed.code == 0 || !strings.Contains(failed.stderr, "17") {
			t.Errorf("a RUN that fails: %d: %s", failed.code, failed.stderr)
		}
	}
	// BuildKit names no --root.
	if _, err := os.Stat("/run/coracle"); err != nil {
		t.Errorf("it was not coracle that ran: %v", err)
	}
}
