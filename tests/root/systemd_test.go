// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// A scoped container is one whose cgroup systemd makes.
type scoped struct {
	vessel
	scope string
	dir   string // of the scope in cgroup v2
}

// newScoped makes the bundle of a container that runs a shell script.
func newScoped(t *testing.T, script string, r *specs.LinuxResources, edits ...func(*specs.Spec)) scoped {
	t.Helper()
	testkit.Need(t, testkit.Systemd, testkit.CgroupV2)
	testkit.NoLeaks(t)
	s := scoped{vessel: newVessel(t, testkit.Args("/bin/sh", "-c", script))}
	// What systemd's slices pass on has to go before their parent can do without it.
	restoreControllers(t, "/sys/fs/cgroup/system.slice/cgroup.subtree_control")
	s.scope = "test-" + s.id + ".scope"
	s.dir = "/sys/fs/cgroup/system.slice/" + s.scope
	s.edit(append([]func(*specs.Spec){func(c *specs.Spec) {
		c.Linux.CgroupsPath, c.Linux.Resources = "system.slice:test:"+s.id, r
	}}, edits...)...)
	return s
}

// call calls coracle with the systemd driver.
func (s scoped) call(arguments ...string) said {
	s.t.Helper()
	return s.coracle(append([]string{"--systemd-cgroup"}, arguments...)...)
}

func (s scoped) run() said {
	s.t.Helper()
	return s.call("run", "--bundle", s.bundle, s.id)
}

// create creates the container; it must succeed in silence.
func (s scoped) create() {
	s.t.Helper()
	if got := s.call("create", "--bundle", s.bundle, s.id); got != (said{}) {
		s.t.Fatalf("create: %+v", got)
	}
}

// expectNoScope checks that systemd knows the scope no more, and its cgroup is gone.
func (s scoped) expectNoScope() {
	s.t.Helper()
	if got := s.property("LoadState"); got != "not-found" {
		s.t.Errorf("the scope is %s", got)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		s.t.Errorf("%s is still there: %v", s.dir, err)
	}
	s.expectGone()
}

// property is what systemd says of the scope.
func (s scoped) property(name string) string {
	s.t.Helper()
	return systemctl(s.t, "show", "--value", "--property", name, s.scope)
}

func systemctl(t testing.TB, arguments ...string) string {
	t.Helper()
	out, err := exec.Command("systemctl", arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("systemctl %q: %v %s", arguments, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s scoped) expectProperty(name, want string) {
	s.t.Helper()
	if got := s.property(name); got != want {
		s.t.Errorf("property %s: got %q, want %q", name, got, want)
	}
}

func (s scoped) expectFile(name, want string) {
	s.t.Helper()
	if got := strings.TrimSpace(readFile(filepath.Join(s.dir, name))); got != want {
		s.t.Errorf("%s: got %q, want %q", name, got, want)
	}
}

// full has a limit of every kind that version 2 has.
func full() *specs.LinuxResources {
	return &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr[int64](64 * mebibyte), Reservation: ptr[int64](16 * mebibyte), Swap: ptr[int64](96 * mebibyte)},
		CPU: &specs.LinuxCPU{Shares: ptr[uint64](512), Quota: ptr[int64](12_345), Period: ptr[uint64](50_000), Burst: ptr[uint64](1_000),
			Cpus: "0", Mems: "0"},
		Pids:           &specs.LinuxPids{Limit: ptr[int64](50)},
		HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4 * mebibyte}},
		Unified:        map[string]string{"memory.high": "50331648", "cgroup.max.descendants": "7"},
	}
}

// expectFull checks the files of full: exact, where systemd rounds.
func (s scoped) expectFull() {
	s.t.Helper()
	for _, f := range [][2]string{
		{"memory.max", "67108864"}, {"memory.low", "16777216"}, {"memory.swap.max", "33554432"}, {"memory.high", "50331648"},
		{"cpu.weight", "59"}, {"cpu.max", "12345 50000"}, {"cpu.max.burst", "1000"}, {"cpuset.cpus", "0"}, {"cpuset.mems", "0"},
		{"pids.max", "50"}, {"hugetlb.2MB.max", "4194304"}, {"hugetlb.2MB.rsvd.max", "4194304"}, {"cgroup.max.descendants", "7"},
	} {
		s.expectFile(f[0], f[1])
	}
}

// TestRootSystemdLimits: systemd knows the limits, the files have them exactly,
// and after a reload they still do.
func TestRootSystemdLimits(t *testing.T) {
	s := newScoped(t, "sleep 1000", full(), func(c *specs.Spec) {
		c.Annotations = map[string]string{"org.systemd.property.TimeoutStopSec": "uint64 7", "org.systemd.property.CPUWeight": "uint64 59",
			"org.systemd.property.Description": "'a test of ours'"}
	})
	s.create()
	s.expectFull()
	for _, p := range [][2]string{
		{"ActiveState", "active"}, {"Slice", "system.slice"}, {"Delegate", "yes"}, {"CollectMode", "inactive-or-failed"},
		{"Description", "a test of ours"}, {"TimeoutStopUSec", "7s"}, {"ControlGroup", "/system.slice/" + s.scope},
		{"MemoryMax", "67108864"}, {"MemoryLow", "16777216"}, {"MemorySwapMax", "33554432"}, {"MemoryHigh", "50331648"}, {"TasksMax", "50"},
		{"CPUWeight", "59"}, {"CPUQuotaPerSecUSec", "250ms"}, {"CPUQuotaPeriodUSec", "50ms"}, {"AllowedCPUs", "0"}, {"AllowedMemoryNodes", "0"},
	} {
		s.expectProperty(p[0], p[1])
	}
	s.quiet("start", s.id)
	systemctl(t, "daemon-reload")
	s.expectFull()
	if pids := s.pids(); len(pids) == 0 || pids[0] != s.status().Pid {
		t.Errorf("ps: %v", pids)
	}
	if got := s.coracle("state", s.id); !strings.Contains(got.stdout, `"systemd-scope": "`+s.scope+`"`) {
		t.Errorf("state: %s", got.stdout)
	}
	s.quiet("pause", s.id)
	s.quiet("resume", s.id)
	s.quiet("kill", s.id, "9")
	waitFor(t, "its end", func() bool { return s.status().Status == "stopped" })
	s.quiet("delete", s.id) // engines leave --systemd-cgroup out here
	s.expectNoScope()
}

// TestRootSystemdUpdate: systemd learns of new limits, and the files have them
// exactly, also in a subgroup.
func TestRootSystemdUpdate(t *testing.T) {
	for _, subgroup := range []string{"", "inner"} {
		s := newScoped(t, "sleep 1000", full(), annotated("run.oci.systemd.subgroup", subgroup))
		s.create()
		if got := s.update(`{"cpu":{"quota":23456},"memory":{"limit":83886080,"swap":125829120},"pids":{"limit":60},"unified":{"memory.high":"max"}}`); got != (said{}) {
			t.Errorf("update: %+v", got)
		}
		for _, p := range [][2]string{{"CPUQuotaPerSecUSec", "470ms"}, {"CPUQuotaPeriodUSec", "50ms"}, {"MemoryMax", "83886080"}, {"MemorySwapMax", "41943040"},
			{"TasksMax", "60"}, {"MemoryHigh", "infinity"}} {
			s.expectProperty(p[0], p[1])
		}
		systemctl(t, "daemon-reload")
		for _, f := range [][2]string{{"cpu.max", "23456 50000"}, {"memory.max", "83886080"}, {"memory.swap.max", "41943040"}, {"pids.max", "60"}, {"memory.high", "max"}, {"cpu.weight", "59"}} {
			s.expectFile(filepath.Join(subgroup, f[0]), f[1])
		}
		s.quiet("delete", "--force", s.id)
		s.expectNoScope()
	}
}

// TestRootSystemdRun: the container is in the scope before its cgroup namespace is
// made, and the scope is gone when run returns.
func TestRootSystemdRun(t *testing.T) {
	for _, private := range []bool{true, false} {
		s := newScoped(t, "cat /proc/self/cgroup; find /sys/fs/cgroup -maxdepth 1 -name cgroup.procs -exec cat {} +", nil,
			mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro"))
		want := "0::/\n1\n"
		if !private {
			s.edit(noNamespace(specs.CgroupNamespace))
			want = "0::/system.slice/" + s.scope + "\n1\n"
		}
		got := s.run()
		if !strings.HasPrefix(got.stdout, want) || got.stderr != "" || got.code != 0 {
			t.Errorf("private %v: got %+v, want %q", private, got, want)
		}
		s.expectNoScope()
	}
}

// TestRootSystemdEmptyPath: without cgroupsPath the scope is named by the id.
func TestRootSystemdEmptyPath(t *testing.T) {
	s := newScoped(t, "cat /proc/self/cgroup", nil, noNamespace(specs.CgroupNamespace), func(c *specs.Spec) { c.Linux.CgroupsPath = "" })
	if got, want := s.run(), (said{stdout: "0::/system.slice/coracle-" + s.id + ".scope\n"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestRootSystemdSlice: nested slices are made, and left to systemd.
func TestRootSystemdSlice(t *testing.T) {
	s := newScoped(t, "cat /proc/self/cgroup", nil, noNamespace(specs.CgroupNamespace), func(c *specs.Spec) {
		c.Linux.CgroupsPath = "coracletest-inner.slice::inner"
	})
	t.Cleanup(func() { systemctl(t, "stop", "coracletest.slice") })
	if got, want := s.run(), (said{stdout: "0::/coracletest.slice/coracletest-inner.slice/inner.scope\n"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// devices opens two devices again and again, as it is asked: one that it may.
const tryDevices = `while read line; do
	(exec 3</nodes/kmsg) 2>/dev/null && echo -n "kmsg "
	(exec 3</nodes/mem) 2>/dev/null && echo -n "mem "
	echo done
done`

// TestRootSystemdReload: what a container may open stays as it was when systemd is
// reloaded: GPUs got lost that way.
func TestRootSystemdReload(t *testing.T) {
	rules := []specs.LinuxDeviceCgroup{{Access: "rwm"}, {Allow: true, Type: "c", Major: ptr[int64](1), Minor: ptr[int64](11), Access: "rw"}}
	s := newScoped(t, `mknod /nodes/kmsg c 1 11; mknod /nodes/mem c 1 1; `+tryDevices, &specs.LinuxResources{Devices: rules}, func(c *specs.Spec) {
		c.Process.Capabilities = &specs.LinuxCapabilities{}
		for _, set := range []*[]string{&c.Process.Capabilities.Bounding, &c.Process.Capabilities.Effective, &c.Process.Capabilities.Permitted} {
			*set = []string{"CAP_MKNOD", "CAP_SYSLOG", "CAP_SYS_RAWIO"}
		}
		c.Mounts = append(c.Mounts, specs.Mount{Destination: "/nodes", Type: "tmpfs", Source: "tmpfs"})
	})
	c := s.command("--systemd-cgroup", "run", "--bundle", s.bundle, s.id)
	input, err := c.StdinPipe()
	must(t, err)
	output, err := c.StdoutPipe()
	must(t, err)
	c.Stderr = os.Stderr
	must(t, c.Start())
	lines := bufio.NewReader(output)
	ask := func(when string) {
		t.Helper()
		io.WriteString(input, "\n")
		if line, err := lines.ReadString('\n'); err != nil || line != "kmsg done\n" {
			t.Errorf("%s: got %q, %v", when, line, err)
		}
	}
	ask("at first")
	systemctl(t, "daemon-reload")
	ask("after a reload")
	systemctl(t, "set-property", "--runtime", s.scope, "TasksMax=77")
	ask("after a change")
	waitFor(t, "the new limit", func() bool { return strings.TrimSpace(readFile(s.dir+"/pids.max")) == "77" })
	systemctl(t, "daemon-reexec")
	waitFor(t, "systemd to answer again", func() bool { return exec.Command("systemctl", "show", "--property=Version").Run() == nil })
	ask("after systemd was executed again")
	input.Close()
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	s.expectNoScope()
}

// TestRootSystemdSubgroup: crun's annotations put the container below its scope,
// and hand it a cgroup to manage.
func TestRootSystemdSubgroup(t *testing.T) {
	s := newScoped(t, "cat /proc/self/cgroup; mkdir /sys/fs/cgroup/inner/own && echo made", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](33)}},
		mapped, mount("/sys/fs/cgroup", "cgroup", "cgroup", "rw"), func(c *specs.Spec) {
			c.Annotations = map[string]string{"run.oci.systemd.subgroup": "outer", "run.oci.delegate-cgroup": "inner"}
		})
	s.create()
	if got := strings.TrimSpace(readFile(s.dir + "/outer/pids.max")); got != "33" {
		t.Errorf("pids.max of the subgroup: %q", got)
	}
	pid := s.status().Pid
	if got, want := readFile("/proc/"+itoa(pid)+"/cgroup"), "0::/system.slice/"+s.scope+"/outer/inner\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.quiet("delete", s.id)
	s.expectNoScope()
	if got, want := s.run(), (said{stdout: "0::/inner\nmade\n"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.expectNoScope()
}

// TestRootSystemdRefused: nothing is left of what cannot be, and the error says
// which field asked for it.
func TestRootSystemdRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		edit  func(*specs.Spec)
		words []string
	}{
		{"no slice", func(s *specs.Spec) { s.Linux.CgroupsPath = "/a/b" }, []string{"config.json linux.cgroupsPath: ", "slice:prefix:name"}},
		{"not a slice", func(s *specs.Spec) { s.Linux.CgroupsPath = "system:a:b" }, []string{"config.json linux.cgroupsPath: ", `"system"`}},
		{"an unknown property", annotated("org.systemd.property.NoSuchThing", "true"), []string{"config.json linux.cgroupsPath: ", "NoSuchThing"}},
		{"a wrong value", annotated("org.systemd.property.CPUWeight", "'a'"), []string{"config.json linux.cgroupsPath: "}},
		{"no value", annotated("org.systemd.property.CPUWeight", "yes"), []string{`annotations["org.systemd.property.CPUWeight"]: `, "GVariant"}},
		{"a limit that the machine cannot have", func(s *specs.Spec) {
			s.Linux.Resources = &specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "3MB", Limit: 1}}}
		}, []string{"config.json linux.resources.hugepageLimits[0].limit: "}},
		{"no program", func(s *specs.Spec) { s.Process.Args = []string{"/none"} }, []string{"/none"}},
		{"no memory", func(s *specs.Spec) {
			s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](4096)}}
		}, []string{"linux.resources.memory.limit"}},
	} {
		s := newScoped(t, "true", nil, c.edit)
		expectError(t, s.call("create", "--bundle", s.bundle, s.id), c.words...)
		s.expectNoScope()
	}
}

func annotated(key, value string) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Annotations = map[string]string{key: value} }
}

// TestRootSystemdTaken: a scope that exists is not taken over, nor harmed.
func TestRootSystemdTaken(t *testing.T) {
	s := newScoped(t, "true", nil)
	other := exec.Command("systemd-run", "--scope", "--quiet", "--unit", s.scope, "sleep", "1000")
	must(t, other.Start())
	t.Cleanup(func() {
		systemctl(t, "stop", s.scope)
		other.Wait()
	})
	waitFor(t, "the other scope", func() bool { return s.property("ActiveState") == "active" })
	expectError(t, s.call("create", "--bundle", s.bundle, s.id), "config.json linux.cgroupsPath: use the cgroup ")
	s.expectProperty("ActiveState", "active")
}

// TestRootSystemdKilled: what a killed create has left goes with the next one, and
// a container whose scope somebody has stopped can be deleted.
func TestRootSystemdKilled(t *testing.T) {
	hook := filepath.Join(t.TempDir(), "pid")
	s := newScoped(t, "sleep 1000", nil, annotated("org.systemd.property.TimeoutStopSec", "uint64 1"), func(c *specs.Spec) {
		c.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo $$ >" + hook + "; exec sleep 1000"}}}}
	})
	c := s.command("--systemd-cgroup", "create", "--bundle", s.bundle, s.id)
	must(t, c.Start())
	waitFor(t, "the hook", func() bool { return strings.HasSuffix(readFile(hook), "\n") })
	s.expectProperty("ActiveState", "active")
	must(t, c.Process.Kill())
	c.Wait()
	s.quiet("delete", "--force", s.id)
	waitFor(t, "the end of the hook", func() bool { return ended(strings.TrimSpace(readFile(hook))) })
	s.expectNoScope()

	s.edit(func(c *specs.Spec) { c.Hooks = nil })
	s.create()
	s.quiet("start", s.id)
	systemctl(t, "stop", s.scope)
	waitFor(t, "its end", func() bool { return s.status().Status == "stopped" })
	s.quiet("delete", s.id)
	s.expectNoScope()
}

// TestRootSystemdUser: in a user namespace, as engines without root run it, the
// systemd of the user makes the scope.
func TestRootSystemdUser(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Systemd, testkit.CgroupV2)
	testkit.NoLeaks(t)
	const uid = 1000 // tester, whose systemd runs
	dir, err := os.MkdirTemp("/var/tmp", "coracle-user")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	v := vessel{t: t, id: "coracle-test-" + itoa(os.Getpid()) + "-user", state: dir + "/state", bundle: dir + "/bundle"}
	writeRootfs(t, v.rootfs(""))
	testkit.WriteConfig(t, v.bundle, testkit.Args("/bin/sh", "-c", "cat /proc/self/cgroup"), noNamespace(specs.CgroupNamespace), func(c *specs.Spec) {
		c.Linux.CgroupsPath = "coracletest.slice:test:" + v.id
		c.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](44)}, Memory: &specs.LinuxMemory{Limit: ptr[int64](64 * mebibyte)}}
	})
	must(t, exec.Command("chown", "-R", strconv.Itoa(uid), dir).Run())
	as := []string{"--reuid=1000", "--regid=1000", "--init-groups", "env", "-i", "XDG_RUNTIME_DIR=/run/user/1000", "PATH=" + os.Getenv("PATH")}
	t.Cleanup(func() { // the slice stays, as those of the machine do
		if out, err := exec.Command("setpriv", append(as, "systemctl", "--user", "stop", "coracletest.slice")...).CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	})
	user := func(arguments ...string) said {
		t.Helper()
		c := v.command(append([]string{"--systemd-cgroup"}, arguments...)...)
		c.Env = []string{"XDG_RUNTIME_DIR=/run/user/1000"}
		ids := []syscall.SysProcIDMap{{Size: 1, HostID: uid}, {ContainerID: 1, HostID: 100000, Size: 65536}}
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: ids, GidMappings: ids,
			GidMappingsEnableSetgroups: true, Credential: &syscall.Credential{}}
		return finish(t, c)
	}
	want := "0::/user.slice/user-1000.slice/user@1000.service/coracletest.slice/test-" + v.id + ".scope\n"
	if got := user("run", "--bundle", v.bundle, v.id); got != (said{stdout: want}) {
		t.Errorf("got %+v, want %q", got, want)
	}
	if got := user("create", "--bundle", v.bundle, v.id); got != (said{}) {
		t.Errorf("create: %+v", got)
	}
	scope := "/sys/fs/cgroup" + strings.TrimSpace(strings.TrimPrefix(want, "0::"))
	for file, want := range map[string]string{"pids.max": "44", "memory.max": "67108864"} {
		if got := strings.TrimSpace(readFile(scope + "/" + file)); got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
	if got := user("delete", "--force", v.id); got != (said{}) {
		t.Errorf("delete: %+v", got)
	}
	if _, err := os.Stat(scope); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", scope, err)
	}
	v.edit(func(c *specs.Spec) { c.Linux.Resources.CPU = &specs.LinuxCPU{Cpus: "0"} })
	expectError(t, user("create", "--bundle", v.bundle, v.id), "linux.resources.cpu.cpus", "the controller cpuset is not delegated to /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service; ")
	v.expectGone()
}

// TestRootSystemdOrdinary is the same for an ordinary user, without any namespace
// around: limits hold as far as they are delegated to it.
func TestRootSystemdOrdinary(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Systemd, testkit.CgroupV2, testkit.Tool("setpriv"))
	testkit.NoLeaks(t)
	dir, err := os.MkdirTemp("/var/tmp", "coracle-user")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	v := vessel{t: t, id: "coracle-test-" + itoa(os.Getpid()) + "-ordinary", state: dir + "/state", bundle: dir + "/bundle"}
	writeRootfs(t, v.rootfs(""))
	must(t, exec.Command("chown", "-R", "1000:1000", dir).Run())
	user := func(program string, arguments ...string) said {
		t.Helper()
		c := exec.Command("setpriv", append([]string{"--reuid=1000", "--regid=1000", "--init-groups", "--inh-caps=-all", program}, arguments...)...)
		c.Env = []string{"XDG_RUNTIME_DIR=/run/user/1000", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
		return finish(t, c)
	}
	coracle := func(arguments ...string) said {
		t.Helper()
		return user(testkit.Bin(t, "coracle"), append([]string{"--root", v.state, "--systemd-cgroup"}, arguments...)...)
	}
	t.Cleanup(func() {
		if got := user("systemctl", "--user", "stop", "coracletest.slice"); got.code != 0 {
			t.Errorf("%+v", got)
		}
	})
	if got := coracle("spec", "--rootless", "--bundle", v.bundle); got != (said{}) {
		t.Fatalf("spec: %+v", got)
	}
	v.edit(noNamespace(specs.CgroupNamespace), testkit.Args("cat", "/proc/self/cgroup"), func(c *specs.Spec) {
		c.Process.Terminal = false
		c.Linux.CgroupsPath = "coracletest.slice:test:" + v.id
		c.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](44)}, Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}}
	})
	path := "/user.slice/user-1000.slice/user@1000.service/coracletest.slice/test-" + v.id + ".scope"
	if got := coracle("run", "--bundle", v.bundle, v.id); got != (said{stdout: "0::" + path + "\n"}) {
		t.Errorf("got %+v, want %q", got, path)
	}
	if got := coracle("create", "--bundle", v.bundle, v.id); got != (said{}) {
		t.Errorf("create: %+v", got)
	}
	if got := strings.TrimSpace(readFile("/sys/fs/cgroup" + path + "/pids.max")); got != "44" {
		t.Errorf("pids.max: %q", got)
	}
	if got := coracle("delete", "--force", v.id); got != (said{}) {
		t.Errorf("delete: %+v", got)
	}
	if _, err := os.Stat("/sys/fs/cgroup" + path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", path, err)
	}
	v.expectGone()
}
