// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package network_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/cni-plugins/plugin"
)

// nft's own words of the table are those of the package comment of masq.
func TestTable(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	w.ok(w.call("ADD", "a", w.conf(nil)))
	source, err := os.ReadFile("../../cni-plugins/masq/masq.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	inTable := false
	for line := range strings.Lines(string(source)) {
		text, isComment := strings.CutPrefix(line, "//")
		text, _, _ = strings.Cut(text, "#")
		text = strings.TrimSpace(text)
		inTable = isComment && (inTable || strings.HasPrefix(text, "table inet"))
		if inTable && text != "" && !strings.HasPrefix(text, "The owner") {
			text = strings.NewReplacer("{ type", "type", " }", "").Replace(text)
			want = append(want, text)
		}
		if inTable && text == "}" && strings.HasPrefix(line, "//\t}") {
			break
		}
	}
	have := w.mustIn("host", "nft", "list", "table", "inet", "coracle_cni")
	rest := strings.Join(strings.Fields(strings.ReplaceAll(have, "{", "")), " ")
	for _, line := range want {
		if text := strings.Join(strings.Fields(strings.ReplaceAll(line, "{", "")), " "); !strings.Contains(rest, text) {
			t.Errorf("nft does not say %q:\n%s", text, have)
		}
	}
	if len(want) < 12 {
		t.Errorf("only %d lines were found in the package comment: %q", len(want), want)
	}
	if !strings.Contains(have, `10.99.0.2 . "br0" comment "net|a|eth0"`) {
		t.Error(have)
	}
}

// Names of any allowed length make tags that DEL and GC find again.
func TestLongNames(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	conf := w.with("name", strings.Repeat("n", 200))
	c := w.call("ADD", "a", conf)
	c.id = strings.Repeat("c", 200)
	result := w.ok(c)
	c.command, c.conf = "CHECK", w.previous(conf, result)
	w.ok(c)
	c.command = "DEL"
	w.ok(c)
	w.clean()
}

// script makes an IPAM plugin of another program in a directory of its own.
func script(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// An IPAM plugin of another program is executed as the specification says.
func TestForeignIPAM(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	log := filepath.Join(t.TempDir(), "log")
	dir := script(t, "their-ipam", `cat >>`+log+`.stdin; echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME" >>`+log+`
[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.1.0","ips":[{"address":"10.50.0.9/24","gateway":"10.50.0.1"}],"routes":[{"dst":"0.0.0.0/0"}],"dns":{"domain":"theirs"}}'
exit 0
`)
	conf := w.withIPAM("type", "their-ipam")
	c := w.call("ADD", "a", conf)
	c.env = []string{"CNI_PATH=" + dir + ":" + w.plugins, "PATH=" + os.Getenv("PATH")}
	result := w.ok(c)
	if got := w.addresses(result); !slices.Equal(got, []string{"10.50.0.9"}) || !strings.Contains(result, `"domain": "theirs"`) {
		t.Error(result)
	}
	if err := w.ping("a", "10.50.0.1"); err != nil {
		t.Error(err)
	}
	for _, command := range []string{"CHECK", "DEL"} {
		c.command, c.conf = command, w.previous(conf, result)
		w.ok(c)
	}
	c.command, c.conf = "STATUS", conf
	w.ok(c)
	calls, _ := os.ReadFile(log)
	if want := "ADD a eth0\nCHECK a eth0\nDEL a eth0\nSTATUS a eth0\n"; string(calls) != want {
		t.Errorf("it was called\n%swant\n%s", calls, want)
	}
	if stdin, _ := os.ReadFile(log + ".stdin"); !strings.Contains(string(stdin), `"their-ipam"`) {
		t.Errorf("%s", stdin)
	}
	w.clean()
}

// When it fails, its error is told and its DEL is called.
func TestForeignIPAMFails(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	log := filepath.Join(t.TempDir(), "log")
	for name, test := range map[string]struct {
		answer string
		code   int
	}{
		"with an error":     {`echo '{"code":121,"msg":"no luck"}'; exit 1`, 121},
		"without a word":    {`exit 1`, plugin.CodeIO},
		"with no addresses": {`echo '{"cniVersion":"1.1.0"}'`, plugin.CodeInvalid},
		"with junk":         {`echo '{"ips":7}'`, plugin.CodeDecoding},
	} {
		os.Remove(log)
		dir := script(t, "their-ipam", `echo $CNI_COMMAND >>`+log+`
[ "$CNI_COMMAND" = DEL ] && exit 0
`+test.answer+"\n")
		c := w.call("ADD", "a", w.withIPAM("type", "their-ipam"))
		c.env = []string{"CNI_PATH=" + dir, "PATH=" + os.Getenv("PATH")}
		w.fails(c, test.code)
		if calls, _ := os.ReadFile(log); string(calls) != "ADD\nDEL\n" {
			t.Errorf("%s: it was called %q", name, calls)
		}
		w.clean()
	}
}

// host-local is a plugin by itself, too.
func TestHostLocal(t *testing.T) {
	w := newWorld(t)
	conf := w.with("cniVersion", "0.4.0")
	c := w.call("ADD", "a", conf)
	c.plugin, c.netns = "host-local", "/does/not/matter"
	first := w.ok(c)
	if strings.Contains(first, "interfaces") || !strings.Contains(first, `"version": "6"`) {
		t.Error(first)
	}
	w.fails(c, plugin.CodeDuplicate)
	c.command = "CHECK"
	w.ok(c)
	c.command = "DEL"
	w.ok(c)
	w.ok(c)
	w.clean()
	c.command = "CHECK"
	w.fails(c, plugin.CodeContainer)
}

// cninet attaches by the state that a runtime's hook gets, and takes it back
// when the process and its namespace are gone.
func TestCninet(t *testing.T) {
	w := newWorld(t)
	w.outside()
	dir := t.TempDir()
	program := filepath.Join(filepath.Dir(w.plugins), "cninet")
	cninet := func(stdin string, args ...string) (string, error) {
		line := program + " --conf-dir " + dir + "/conf --cache-dir " + dir + "/cache --plugin-dir " + w.plugins + " " + strings.Join(args, " ")
		return w.in("host", "sh", "-c", "printf '%s' '"+stdin+"' | "+line)
	}
	must := func(stdin string, args ...string) string {
		t.Helper()
		out, err := cninet(stdin, args...)
		if err != nil {
			t.Fatalf("cninet %v: %v\n%s", args, err, out)
		}
		return out
	}
	out, err := cninet("{}", "attach", "web", "--id", "x", "--netns", "/x")
	if err == nil || !strings.Contains(out, "make it with: cninet create web") {
		t.Errorf("%v %s", err, out)
	}
	must("", "create", "web", "--subnet", "10.88.0.0/24", "--subnet", "fd88::/64", "--masq", "--data-dir", w.dataDir)
	if out, err := cninet("", "create", "web", "--subnet", "10.89.0.0/24"); err == nil {
		t.Error(out)
	}
	must("", "status", "web")

	pause := w.pause()
	state := fmt.Sprintf(`{"ociVersion":"1.2.0","id":"x","status":"created","pid":%d,"bundle":"/b"}`, pause.Process.Pid)
	if out := must(state, "attach", "web"); out != "" {
		t.Errorf("a hook must say nothing: %s", out)
	}
	if out, err := cninet(state, "attach", "web"); err == nil || !strings.Contains(out, "already") {
		t.Errorf("%v %s", err, out)
	}
	must("", "check", "web")
	if out := must("", "ls"); !strings.Contains(out, "web      x          eth0       10.88.0.2/24, fd88::2/64") {
		t.Error(out)
	}
	must("", "gc", "web")
	var networks []struct {
		Name        string
		Attachments []struct{ ContainerID, MAC string }
	}
	if err := json.Unmarshal([]byte(must("", "ls", "--json")), &networks); err != nil || len(networks) != 1 || len(networks[0].Attachments) != 1 || networks[0].Attachments[0].MAC == "" {
		t.Errorf("%v %v", networks, err)
	}
	if out, err := cninet("", "rm", "web"); err == nil || !strings.Contains(out, "container x is attached") {
		t.Errorf("%v %s", err, out)
	}
	pause.Process.Kill()
	pause.Wait()
	for range 2 {
		must(`{"id":"x","pid":0}`, "detach", "web")
	}
	if out := must("", "ls"); !strings.Contains(out, "web      -") {
		t.Error(out)
	}

	pause = w.pause() // a runtime that never calls poststop
	state = fmt.Sprintf(`{"id":"lost","pid":%d}`, pause.Process.Pid)
	must(state, "attach", "web")
	pause.Process.Kill()
	pause.Wait()
	for until := time.Now().Add(time.Minute); ; { // the namespace goes some time after its last process
		must("", "gc", "web")
		if out := must("", "ls"); !strings.Contains(out, "lost") {
			break
		} else if time.Now().After(until) {
			t.Fatal(out)
		}
	}
	must("", "rm", "web")
	w.mustIn("host", "ip", "link", "del", "up0")
	w.clean()
	if out := w.mustIn("host", "ip", "-br", "link") + w.mustIn("host", "nft", "list", "ruleset"); strings.Contains(out, "br-web") || strings.Contains(out, "coracle") {
		t.Errorf("rm left\n%s", out)
	}
}
