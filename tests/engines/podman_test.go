// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package engines_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// startPodman loads our image: podman has no daemon. Its network is by our plugins.
func startPodman(t *testing.T) {
	t.Helper()
	testkit.Need(t, testkit.Root, testkit.Tool("podman"), testkit.Tool("conmon"))
	nothingLeft(t, "/run/coracle")
	_, archives := images(t)
	for _, archive := range archives {
		podman(t, "load", "-i", archive).ok()
	}
	t.Cleanup(func() {
		podman(t, "pod", "rm", "-a", "-f").exits(0)
		podman(t, "rm", "-a", "-f", "-t", "0").exits(0)
	})
}

func podman(t testing.TB, args ...string) said {
	t.Helper()
	return call(t, "podman", args...)
}

// podmanRun is podman run of our image, whose container is removed.
func podmanRun(t testing.TB, flags []string, program ...string) said {
	t.Helper()
	args := append(append([]string{"run", "--rm"}, flags...), busybox)
	return podman(t, append(args, program...)...)
}

func TestPodmanRun(t *testing.T) {
	startPodman(t)
	podman(t, "info", "-f", "{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}").exits(0).prints("coracle " + coracle)
	play(t, podmanRun, everywhere...)
	play(t, podmanRun, []scenario{
		{"read-only", "--read-only", "! touch /x && touch /tmp/x && echo only there", "only there", 0},
		{"tmpfs", "--tmpfs /var/full", "cat /var/full/seed; touch /var/full/x", "from the image", 0},
		{"network", "", "ip addr show eth0", "10.88.0.", 0},
		{"host's network", "--network host", "hostname", "engines", 0},
		{"user namespace", "--uidmap 0:100000:65536", "cat /proc/self/uid_map; id -u", "100000      65536\n0", 0},
		{"privileged", "--privileged", "grep Seccomp: /proc/self/status", "Seccomp:\t0", 0},
		{"own IPC and UTS", "--ipc private --uts private -h vessel", "hostname", "vessel", 0},
		{"secrets and hosts", "--add-host there:1.2.3.4", "cat /etc/hosts", "1.2.3.4", 0},
		{"unmasked", "--security-opt unmask=ALL", "ls /proc/scsi >/dev/null 2>&1; echo done", "done", 0},
		{"no cgroup", "--cgroups disabled", "echo without", "without", 0},
		{"systemd's directories", "--systemd always", "mount | grep -c ' on /run '", "1", 0},
		{"init", "--init", "true", "", 0},
	}...)
}

// TestPodmanFailures: podman matches regular expressions on the message in the log,
// which it can read only if there is one record.
func TestPodmanFailures(t *testing.T) {
	startPodman(t)
	for _, c := range []struct {
		name, program string
		code          int
		says          string
	}{
		{"not in PATH", "no-such-program", 127, "executable file not found in $PATH"},
		{"no such file", "/no/such/file", 127, "no such file or directory"},
		{"not executable", "/etc/notexec", 126, "permission denied"},
		{"a directory", "/tmp", 126, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			podman(t, "run", "--rm", busybox, c.program).exits(c.code).complains(c.says)
		})
	}
	podman(t, "run", "--rm", "--no-such-flag", busybox).exits(125)
}

func TestPodmanLife(t *testing.T) {
	startPodman(t)
	id := podman(t, "run", "-d", "--name", "one", "-m", "64m", busybox, "sleep", "1000").ok().line()
	call(t, coracle, "list", "-q").ok().prints(id)
	podman(t, "stats", "--no-stream", "--format", "{{.MemUsage}}", "one").exits(0).prints("/ 67.11MB")
	podman(t, "pause", "one").exits(0)
	call(t, coracle, "state", id).exits(0).prints(`"status": "paused"`)
	podman(t, "unpause", "one").exits(0)
	podman(t, "update", "-m", "32m", "one").exits(0)
	limit(t, "libpod_parent/libpod-"+id, "33554432")
	podman(t, "kill", "-s", "KILL", "one").exits(0)
	podman(t, "wait", "one").exits(0).prints("137")
	podman(t, "start", "one").exits(0)
	podman(t, "stop", "-t", "0", "one").exits(0)
	podman(t, "restart", "-t", "0", "one").exits(0)
	podman(t, "rm", "-f", "-t", "0", "one").exits(0)

	podman(t, "run", "--name", "lines", busybox, "sh", "-c", "echo out; echo err >&2").exits(0)
	podman(t, "logs", "lines").exits(0).prints("out").complains("err")
	podman(t, "run", "--rm", "-t", busybox, "tty").exits(0).prints("/dev/pts/0")
	callWith(t, "from outside\n", "podman", "run", "--rm", "-i", busybox, "cat").exits(0).prints("from outside")
	podman(t, "create", "--name", "never", busybox, "true").exits(0)
	podman(t, "init", "never").exits(0)
	podman(t, "rm", "-f", "never").exits(0)
}

// TestPodmanPods: a pod's containers share its first one's namespaces.
func TestPodmanPods(t *testing.T) {
	startPodman(t)
	podman(t, "pod", "create", "--name", "p").ok()
	podman(t, "run", "-d", "--pod", "p", "--name", "server", busybox, "sh", "-c", "while :; do echo served | nc -l -p 80; done").ok()
	eventually(t, "the other container answers", func() bool {
		return podman(t, "run", "--rm", "--pod", "p", busybox, "sh", "-c", "nc -w 1 127.0.0.1 80").line() == "served"
	})
	podman(t, "pod", "pause", "p").exits(0)
	podman(t, "pod", "unpause", "p").exits(0)
	podman(t, "pod", "rm", "-f", "-t", "0", "p").exits(0)
}

func TestPodmanKube(t *testing.T) {
	startPodman(t)
	file := filepath.Join(t.TempDir(), "pod.yaml")
	must(t, os.WriteFile(file, []byte(`apiVersion: v1
kind: Pod
metadata:
  name: played
spec:
  containers:
  - name: main
    image: `+busybox+`
    imagePullPolicy: Never
    command: [sh, -c, "echo $WORD; sleep 1000"]
    env: [{name: WORD, value: played}]
    securityContext: {readOnlyRootFilesystem: true, runAsUser: 1000}
    resources: {limits: {memory: 64Mi}}
`), 0o644))
	podman(t, "kube", "play", file).ok()
	eventually(t, "the container prints", func() bool { return podman(t, "logs", "played-main").line() == "played" })
	podman(t, "kube", "down", file).exits(0)
}

func TestPodmanMany(t *testing.T) {
	startPodman(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			podman(t, "run", "--rm", "--network", "none", busybox, "echo", fmt.Sprint("number ", i)).exits(0).prints(fmt.Sprint("number ", i))
		})
	}
	all.Wait()
}

func TestPodmanBuild(t *testing.T) {
	startPodman(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "Dockerfile"),
		[]byte("FROM "+busybox+"\nRUN echo made >/made\nUSER app\nRUN id -u >/tmp/by\n"), 0o644))
	build := []string{"build", "--isolation", "oci", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=8192:8192", "--runtime", coracle}
	podman(t, append(build, "-t", "localhost/built:1", dir)...).exits(0)
	podman(t, "run", "--rm", "localhost/built:1", "cat", "/made", "/tmp/by").exits(0).prints("made\n1000")
	podman(t, "rmi", "localhost/built:1").exits(0)
}
