// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package journey_test does the main job with the three built programs and real
// servers: a Debian goes through a registry, becomes containers on a bridge
// network, what they change becomes a layer, and nothing stays behind.
//
// The host of the network is a namespace of its own; the registry listens on
// this machine's loopback address.
package journey_test

import (
	"bufio"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// A house is where the programs of one test keep their things, and the network
// namespace that they take for the host's.
type house struct {
	t   *testing.T
	id  string // begins all names that the machine sees
	dir string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, id: fmt.Sprintf("journey%06x", rand.Uint32N(1<<24)), dir: t.TempDir()}
	h.netns("host")
	h.must(h.in("host", "ip", "link", "set", "lo", "up"))
	// The hooks of a bundle call cninet with no options: these are its defaults here.
	wrapper := fmt.Sprintf("#!/bin/sh\nexec '%s' --conf-dir '%s' --cache-dir '%s' \"$@\"\n",
		testkit.Bin(t, "cninet"), h.path("networks"), h.path("attachments"))
	if err := os.WriteFile(h.path("cninet"), []byte(wrapper), 0o755); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) path(name string) string { return filepath.Join(h.dir, name) }

// netns makes a network namespace of the house.
func (h *house) netns(name string) {
	h.t.Helper()
	h.must(exec.Command("ip", "netns", "add", h.id+name))
	h.t.Cleanup(func() { h.must(exec.Command("ip", "netns", "del", h.id+name)) })
}

// in makes a command run in a network namespace of the house. (ip netns exec
// would give it another /sys, too.)
func (h *house) in(netns string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net=/run/netns/" + h.id + netns, "--"}, args...)...)
}

func (h *house) imgmgr(args ...string) *exec.Cmd {
	h.t.Helper()
	return exec.Command(testkit.Bin(h.t, "imgmgr"), append([]string{"--store", h.path("store")}, args...)...)
}

func (h *house) coracle(args ...string) *exec.Cmd {
	h.t.Helper()
	return h.in("host", append([]string{testkit.Bin(h.t, "coracle"), "--root", h.path("state")}, args...)...)
}

func (h *house) cninet(args ...string) *exec.Cmd {
	return h.in("host", append([]string{h.path("cninet")}, args...)...)
}

// must runs a command and returns what it wrote to standard output.
func (h *house) must(c *exec.Cmd) string {
	h.t.Helper()
	var errors strings.Builder
	c.Stderr = &errors
	out, err := c.Output()
	if err != nil {
		h.t.Fatalf("%v: %v\n%s%s", c.Args, err, out, errors.String())
	}
	return string(out)
}

// background starts a command, waits until it has written a line with word in it
// to standard output or error, and ends it with the test.
func (h *house) background(c *exec.Cmd, word string) {
	h.t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		h.t.Fatal(err)
	}
	c.Stdout, c.Stderr = write, write
	err = c.Start()
	_ = write.Close()
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		_ = read.Close()
	})
	var said strings.Builder
	for lines := bufio.NewScanner(read); lines.Scan(); {
		if strings.Contains(lines.Text(), word) {
			go func() { // or it blocks when the pipe is full
				for lines.Scan() {
				}
			}()
			return
		}
		said.WriteString(lines.Text() + "\n")
	}
	h.t.Fatalf("%v ended:\n%s", c.Args, said.String())
}

// files returns what a directory has below it, other than directories.
func files(dir string) []string {
	var found []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return nil
	})
	return found
}
