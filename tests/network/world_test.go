// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package network_test runs the built CNI plugins and cninet as root. The
// "host" of each test is a network namespace of its own, so the machine's links
// and nf_tables are never touched.
package network_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/testkit"
)

// A world is a host with containers: network namespaces, and a ledger.
type world struct {
	t       *testing.T
	prefix  string
	dataDir string
	plugins string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	testkit.Need(t, testkit.Root, testkit.Tool("ip"), testkit.Tool("nft"))
	bin := os.Getenv("CORACLE_BIN")
	if bin == "" {
		bin, _ = filepath.Abs("../../bin")
	}
	w := &world{t: t, prefix: fmt.Sprintf("coracle-%06x-", rand.Uint32N(1<<24)), dataDir: t.TempDir(), plugins: filepath.Join(bin, "cni")}
	if _, err := os.Stat(w.plugins + "/bridge"); err != nil {
		t.Fatalf("%v: make build makes it", err)
	}
	w.add("host")
	return w
}

// add makes a network namespace and returns its path.
func (w *world) add(name string) string {
	w.t.Helper()
	w.must("ip", "netns", "add", w.prefix+name)
	w.t.Cleanup(func() { exec.Command("ip", "netns", "del", w.prefix+name).Run() })
	return w.path(name)
}

func (w *world) path(name string) string { return "/run/netns/" + w.prefix + name }

func (w *world) must(args ...string) string {
	w.t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// in runs a command in a namespace of the world.
func (w *world) in(name string, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := w.start(name, cmd); err != nil {
		return "", err
	}
	err := cmd.Wait()
	return out.String(), err
}

// start starts cmd in a namespace of the world: a child is where its thread is.
func (w *world) start(name string, cmd *exec.Cmd) error { return w.within(name, cmd.Start) }

// within calls f in a namespace of the world, on a thread that ends with it.
func (w *world) within(name string, f func() error) error {
	fd, err := sys.OpenNetns(w.path(name))
	if err != nil {
		return err
	}
	defer sys.CloseNetns(fd)
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

func (w *world) mustIn(name string, args ...string) string {
	w.t.Helper()
	out, err := w.in(name, args...)
	if err != nil {
		w.t.Fatalf("%s: %v: %v\n%s", name, args, err, out)
	}
	return out
}

// A call is one call of a plugin; empty fields are not set in the environment.
type call struct {
	plugin, command, id, netns, ifname, args, conf string
	env                                            []string
}

// An answer is what a plugin said.
type answer struct {
	code   int // of the process
	stdout string
	stderr string
}

// add, del, … are calls of bridge for a container of the world.
func (w *world) call(command, container, conf string) call {
	return call{plugin: "bridge", command: command, id: container, netns: w.path(container), ifname: "eth0", conf: conf}
}

func (w *world) command(c call) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	cmd := exec.Command(filepath.Join(w.plugins, c.plugin))
	for _, v := range []struct{ name, value string }{{"CNI_COMMAND", c.command}, {"CNI_CONTAINERID", c.id}, {"CNI_NETNS", c.netns},
		{"CNI_IFNAME", c.ifname}, {"CNI_ARGS", c.args}, {"CNI_PATH", w.plugins}} {
		if v.value != "" {
			cmd.Env = append(cmd.Env, v.name+"="+v.value)
		}
	}
	cmd.Env = append(cmd.Env, c.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.conf), &stdout, &stderr
	return cmd, &stdout, &stderr
}

// do runs a plugin on the host.
func (w *world) do(c call) answer {
	w.t.Helper()
	cmd, stdout, stderr := w.command(c)
	if err := w.start("host", cmd); err != nil {
		w.t.Fatal(err)
	}
	err := cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		w.t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// ok runs a plugin that must succeed, and returns its standard output.
func (w *world) ok(c call) string {
	w.t.Helper()
	a := w.do(c)
	if a.code != 0 {
		w.t.Fatalf("%s %s %s: exit %d\n%s%s", c.plugin, c.command, c.id, a.code, a.stdout, a.stderr)
	}
	return a.stdout
}

// fails runs a plugin that must fail with code, and returns its message.
func (w *world) fails(c call, code int) string {
	w.t.Helper()
	a := w.do(c)
	var e struct {
		CNIVersion string
		Code       int
		Msg        string
	}
	if err := json.Unmarshal([]byte(a.stdout), &e); err != nil || a.code == 0 {
		w.t.Fatalf("%s %s: exit %d, no error in JSON: %v\n%s%s", c.plugin, c.command, a.code, err, a.stdout, a.stderr)
	}
	if e.Code != code || e.Msg == "" || e.CNIVersion == "" || strings.Contains(e.Msg, "\n") {
		w.t.Fatalf("%s %s: code %d, want %d: %s", c.plugin, c.command, e.Code, code, a.stdout)
	}
	return e.Msg
}

// left is everything that attachments leave on the host: veths, elements,
// leases, addresses of bridges.
func (w *world) left() []string {
	w.t.Helper()
	var lines []string
	for line := range strings.Lines(w.mustIn("host", "ip", "-br", "link", "show", "type", "veth")) {
		lines = append(lines, "link "+strings.Fields(line)[0])
	}
	for line := range strings.Lines(w.mustIn("host", "nft", "list", "ruleset")) {
		if strings.Contains(line, "|eth") {
			lines = append(lines, "element "+strings.TrimSpace(line))
		}
	}
	filepath.WalkDir(w.dataDir, func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err == nil && !d.IsDir() && name != "lock" && !strings.HasPrefix(name, "last_reserved_ip.") && name != ".boot" && name != ".draft" {
			lines = append(lines, "file "+strings.TrimPrefix(path, w.dataDir))
		}
		return nil
	})
	slices.Sort(lines)
	return lines
}

func (w *world) clean() {
	w.t.Helper()
	if left := w.left(); len(left) > 0 {
		w.t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

// conf is a bridge configuration; edit changes its fields.
func (w *world) conf(edit func(m map[string]any)) string {
	m := map[string]any{
		"cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true,
		"ipam": map[string]any{"type": "host-local", "dataDir": w.dataDir,
			"ranges": []any{[]any{map[string]any{"subnet": "10.99.0.0/24"}}, []any{map[string]any{"subnet": "fd99::/64"}}}},
	}
	if edit != nil {
		edit(m)
	}
	text, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// with is conf with a field set.
func (w *world) with(field string, value any) string {
	return w.conf(func(m map[string]any) { m[field] = value })
}

// withIPAM is conf with a field of ipam set.
func (w *world) withIPAM(field string, value any) string {
	return w.conf(func(m map[string]any) { m["ipam"].(map[string]any)[field] = value })
}

// subnet is conf with one range.
func (w *world) subnet(subnet string) string {
	return w.withIPAM("ranges", []any{[]any{map[string]any{"subnet": subnet}}})
}

// previous puts a result into a configuration, as runtimes do for CHECK and DEL.
func (w *world) previous(conf, result string) string {
	var m map[string]any
	if err := json.Unmarshal([]byte(conf), &m); err != nil {
		w.t.Fatal(err)
	}
	m["prevResult"] = json.RawMessage(result)
	text, _ := json.Marshal(m)
	return string(text)
}

// addresses returns the addresses of a result, without their lengths.
func (w *world) addresses(result string) (all []string) {
	w.t.Helper()
	var r struct{ IPs []struct{ Address string } }
	if err := json.Unmarshal([]byte(result), &r); err != nil {
		w.t.Fatalf("%v\n%s", err, result)
	}
	for _, ip := range r.IPs {
		address, _, _ := strings.Cut(ip.Address, "/")
		all = append(all, address)
	}
	return all
}

// ping sends one packet from a namespace.
func (w *world) ping(from, to string, size ...string) error {
	args := []string{"busybox", "ping", "-c1", "-W2"}
	if strings.Contains(to, ":") {
		args[1] = "ping6"
	}
	if len(size) > 0 {
		args = append(args, "-s", size[0])
	}
	out, err := w.in(from, append(args, to)...)
	if err != nil {
		return fmt.Errorf("%s cannot reach %s: %w\n%s", from, to, err, out)
	}
	return nil
}

// pause starts a process in a network namespace of its own, as a container's
// init is one when hooks run.
func (w *world) pause() *exec.Cmd {
	w.t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}
