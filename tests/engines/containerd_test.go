// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package engines_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coracle-oci/coracle/internal/testkit"
)

const containerdSocket = "/run/containerd/containerd.sock"

// startContainerd starts it with the configuration that we ship, and our image in
// the namespace.
func startContainerd(t *testing.T, namespace string) {
	t.Helper()
	testkit.Need(t, testkit.Root, testkit.Tool("containerd"), testkit.Tool("ctr"))
	nothingLeft(t, "/run/containerd/runc/"+namespace)
	_, archives := images(t)
	serve(t, containerdSocket, "containerd", "--config", "/etc/containerd/config.toml")
	for _, archive := range archives {
		call(t, "ctr", "-n", namespace, "images", "import", archive).ok()
	}
}

// ctr calls containerd's own client.
func ctr(t testing.TB, args ...string) said {
	t.Helper()
	return call(t, "ctr", args...)
}

// ctrRun is ctr run with coracle, which ctr does not take from the configuration.
func ctrRun(t testing.TB, id, flags string, program ...string) said {
	t.Helper()
	args := append([]string{"run", "--runc-binary", coracle}, strings.Fields(flags)...)
	return ctr(t, append(append(args, busybox, id), program...)...)
}

func TestContainerd(t *testing.T) {
	startContainerd(t, "default")
	play(t, func(t testing.TB, flags []string, program ...string) said {
		return ctrRun(t, "c", "--rm "+strings.Join(flags, " "), program...)
	}, []scenario{
		{"hello", "", "echo hello", "hello", 0},
		{"exit status", "", "exit 17", "", 17},
		{"environment", "--env A=b", "echo $A $FROM_IMAGE", "b yes", 0},
		{"working directory", "--cwd /var", "pwd", "/var", 0},
		{"read-only", "--read-only", "! touch /x && echo ro", "ro", 0},
		{"bind", "--mount type=bind,src=/etc/containerd,dst=/h,options=rbind:ro", "ls /h", "config.toml", 0},
		{"seccomp", "--seccomp", "grep Seccomp: /proc/self/status", "Seccomp:\t2", 0},
		{"host's network", "--net-host", "hostname", "engines", 0},
		{"network", "--cni", "ip -o -4 addr show eth0", "10.88.0.", 0},
		{"privileged", "--privileged", "mount -t tmpfs none /tmp && echo mounted", "mounted", 0},
		{"user namespace", "--uidmap 0:100000:65536 --gidmap 0:100000:65536", "cat /proc/self/uid_map", "100000      65536", 0},
		{"cgroup", "--cgroup /own/place", "cat /proc/self/cgroup", ":/own/place", 0},
	}...)
	ctrRun(t, "none", "--rm", "no-such-program").exits(1).complains(`exec: "no-such-program": executable file not found in $PATH`)
}

func TestContainerdLife(t *testing.T) {
	startContainerd(t, "default")
	ctrRun(t, "one", "-d --memory-limit 67108864", "sleep", "1000").ok()
	limit(t, "default/one", "67108864")
	call(t, coracle, "--root", "/run/containerd/runc/default", "list", "-q").ok().prints("one")
	ctr(t, "tasks", "ls").exits(0).prints("RUNNING")
	ctr(t, "tasks", "ps", "one").exits(0).prints("PID")
	ctr(t, "tasks", "metrics", "one").exits(0).prints("memory")
	ctr(t, "tasks", "pause", "one").exits(0)
	ctr(t, "tasks", "ls").exits(0).prints("PAUSED")
	ctr(t, "tasks", "resume", "one").exits(0)
	ctr(t, "tasks", "kill", "-s", "SIGKILL", "one").exits(0)
	eventually(t, "the task stops", func() bool { return strings.Contains(ctr(t, "tasks", "ls").stdout, "STOPPED") })
	ctr(t, "tasks", "rm", "one").exits(0).complains("137")
	ctr(t, "containers", "rm", "one").exits(0)

	ctrRun(t, "two", "-d", "sleep", "1000").ok()
	ctr(t, "tasks", "rm", "-f", "two").exits(0).complains("137")
	ctr(t, "containers", "rm", "two").exits(0)
	call(t, "script", "-qec", "ctr run --rm -t --runc-binary "+coracle+" "+busybox+" three sh -c 'test -t 0 && echo a terminal'", "/dev/null").
		exits(0).prints("a terminal")
}

func TestContainerdMany(t *testing.T) {
	startContainerd(t, "default")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			text := fmt.Sprint("number ", i)
			ctrRun(t, fmt.Sprint("m", i), "--rm", "echo", text).exits(0).prints(text)
		})
	}
	all.Wait()
}

// startPod makes a pod as a kubelet does, its network by our plugins, and one
// container in it.
func startPod(t *testing.T) (sandbox, id string) {
	t.Helper()
	testkit.Need(t, testkit.Tool("crictl"))
	startContainerd(t, "k8s.io")
	dir := t.TempDir()
	pod, container := filepath.Join(dir, "pod.json"), filepath.Join(dir, "container.json")
	must(t, os.WriteFile(pod, []byte(`{"metadata":{"name":"pod","namespace":"default","uid":"1","attempt":1},
		"log_directory":"`+dir+`","linux":{}}`), 0o644))
	must(t, os.WriteFile(container, []byte(`{"metadata":{"name":"main"},"image":{"image":"`+busybox+`"},
		"command":["sh","-c","ip -o -4 addr show eth0; exec sleep 1000"],"log_path":"main.log",
		"linux":{"resources":{"memory_limit_in_bytes":67108864},"security_context":{"run_as_user":{"value":1000}}}}`), 0o644))
	eventually(t, "the network is ready", func() bool {
		return strings.Contains(crictl(t, "info").stdout, `"lastCNILoadStatus": "OK"`)
	})
	sandbox = crictl(t, "runp", "--runtime", handler(t), pod).ok().line()
	id = crictl(t, "create", sandbox, container, pod).ok().line()
	crictl(t, "start", id).exits(0)
	eventually(t, "the container prints its address", func() bool {
		return strings.Contains(crictl(t, "logs", id).stdout, "10.88.0.")
	})
	return sandbox, id
}

func TestCRI(t *testing.T) {
	sandbox, id := startPod(t)
	call(t, coracle, "--root", "/run/containerd/runc/k8s.io", "list", "-q").ok().prints(sandbox).prints(id)
	crictl(t, "stats", id).exits(0).prints("main")
	crictl(t, "update", "--memory", "33554432", id).exits(0)
	limit(t, "k8s.io/"+id, "33554432")
	crictl(t, "stop", "--timeout", "0", id).exits(0)
	crictl(t, "inspect", "-o", "go-template", "--template", "{{.status.exitCode}}", id).exits(0).prints("137")
	crictl(t, "rm", id).exits(0)
	crictl(t, "stopp", sandbox).exits(0)
	crictl(t, "rmp", sandbox).exits(0)
}

// handler is what our RuntimeClass has a pod run by.
func handler(t testing.TB) string {
	t.Helper()
	class, err := os.ReadFile(configs + "/kubernetes/runtimeclass.yaml")
	must(t, err)
	for line := range strings.Lines(string(class)) {
		if name, ok := strings.CutPrefix(line, "handler: "); ok {
			return strings.TrimSpace(name)
		}
	}
	t.Fatal("the RuntimeClass has no handler")
	return ""
}

func crictl(t testing.TB, args ...string) said {
	t.Helper()
	return call(t, "crictl", append([]string{"-r", "unix://" + containerdSocket}, args...)...)
}
