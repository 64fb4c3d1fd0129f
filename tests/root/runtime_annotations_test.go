// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"net"
	"os"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootPIDFDReceiver: crun's annotation sends the pidfd of the init.
func TestRootPIDFDReceiver(t *testing.T) {
	testkit.NoLeaks(t)
	socket := t.TempDir() + "/s"
	l, err := net.Listen("unix", socket)
	must(t, err)
	defer l.Close()
	v := newVessel(t, testkit.Args("sleep", "1000"), func(s *specs.Spec) { s.Annotations = map[string]string{"run.oci.pidfd_receiver": socket} })
	v.create()
	conn, err := l.Accept()
	must(t, err)
	defer conn.Close()
	buf, control := make([]byte, 256), make([]byte, 64)
	n, m, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(buf, control)
	must(t, err)
	messages, err := syscall.ParseSocketControlMessage(control[:m])
	must(t, err)
	fds, err := syscall.ParseUnixRights(&messages[0])
	must(t, err)
	defer unix.Close(fds[0])
	if string(buf[:n]) != v.id || len(fds) != 1 {
		t.Errorf("%q with %d descriptors", buf[:n], len(fds))
	}
	must(t, unix.PidfdSendSignal(fds[0], unix.SIGKILL, nil, 0))
	waitFor(t, "its end", func() bool { return v.status().Status == specs.StateStopped })
	v.quiet("delete", v.id)
	v.edit(func(s *specs.Spec) { s.Annotations["run.oci.pidfd_receiver"] = socket + "/absent" })
	v.expectRefusal(`annotations["run.oci.pidfd_receiver"]`, "(ENOTDIR)")
}

// TestRootHooksOutput: crun's annotations keep what hooks of all kinds print.
func TestRootHooksOutput(t *testing.T) {
	testkit.NoLeaks(t)
	dir := t.TempDir()
	out, errs := dir+"/out", dir+"/err"
	must(t, os.WriteFile(out, []byte("before\n"), 0o600))
	hook := func(kind string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo " + kind + "; echo " + kind + " >&2"}}}
	}
	v := newVessel(t, func(s *specs.Spec) {
		s.Annotations = map[string]string{"run.oci.hooks.stdout": out, "run.oci.hooks.stderr": errs}
		s.Hooks = &specs.Hooks{CreateRuntime: hook("createRuntime"), CreateContainer: hook("createContainer"), StartContainer: hook("startContainer"), Poststart: hook("poststart"), Poststop: hook("poststop")}
	})
	if got := v.run(); got != (said{}) {
		t.Errorf("%+v", got)
	}
	const all = "createRuntime\ncreateContainer\nstartContainer\npoststart\npoststop\n"
	if data, err := os.ReadFile(out); string(data) != "before\n"+all {
		t.Errorf("%q %v", data, err)
	}
	if data, err := os.ReadFile(errs); string(data) != all {
		t.Errorf("%q %v", data, err)
	}
	v.edit(func(s *specs.Spec) { s.Annotations["run.oci.hooks.stdout"] = dir + "/absent/out" })
	v.expectRefusal(`annotations["run.oci.hooks.stdout"]`, "(ENOENT)")
}
