// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// debianPlugins is where Debian's containernetworking-plugins has its programs.
const debianPlugins = "/usr/lib/cni"

// A pluginSet is a contender with its plugins, network and ledger.
type pluginSet struct {
	*contender
	dir    string // of its programs
	number int    // of its network: bridge cni-bench<n>, 10.<80+n>.0.0/16
}

// network measures ADD of bridge with host-local, with and without masquerading.
// The host of these networks is a namespace too: this machine's is not touched.
func (b *bench) network() error {
	done := make(chan error)
	go func() {
		// What this thread starts lives in the new namespace. It is never unlocked,
		// so that the thread ends with the goroutine, and the namespace with it.
		runtime.LockOSThread()
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("unshare(CLONE_NEWNET): %w", err)
			return
		}
		for _, masquerade := range []bool{false, true} {
			if err := b.addressed(masquerade); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	return <-done
}

func (b *bench) addressed(masquerade bool) error {
	sets := []pluginSet{
		{&contender{name: "coracle's bridge"}, filepath.Join(b.bin, "cni"), 1},
		{&contender{name: "Debian's bridge"}, b.plugins, 2},
	}
	what := "ADD of bridge and host-local"
	if masquerade {
		what += " with ipMasq"
		sets[0].number, sets[1].number = 3, 4
	}
	const warmUp = 2 // the first one makes the bridge
	for round := range warmUp + b.runs {
		for i := range sets {
			set := sets[(round+i)%len(sets)]
			s, err := b.attach(set, round, masquerade)
			if err != nil {
				return err
			}
			if round >= warmUp {
				set.samples = append(set.samples, s)
			}
		}
	}
	b.compare(what, (*contender).walls, sets[0].contender, rival{sets[1].contender, 0.4})
	b.compare(what+", processor time", (*contender).cpus, sets[0].contender, rival{sets[1].contender, 0})
	return nil
}

// attach measures one ADD into a new namespace, and takes all away again.
func (b *bench) attach(set pluginSet, round int, masquerade bool) (s sample, err error) {
	netns := filepath.Join(b.dir, fmt.Sprintf("netns-%d-%d", set.number, round))
	if err := makeNetns(netns); err != nil {
		return s, err
	}
	defer func() {
		if unmountErr := syscall.Unmount(netns, syscall.MNT_DETACH); err == nil {
			err = unmountErr
		}
	}()
	id := fmt.Sprintf("bench-%d-%d", set.number, round)
	if s, err = b.plugin(set, "ADD", id, netns, masquerade); err != nil {
		return s, err
	}
	if address := fmt.Sprintf(`"10.%d.0.`, 80+set.number); !strings.Contains(s.said, address) {
		return s, fmt.Errorf("%s: ADD answers no address of its network: %s", set.name, s.said)
	}
	_, err = b.plugin(set, "DEL", id, netns, masquerade)
	return s, err
}

func (b *bench) plugin(set pluginSet, verb, id, netns string, masquerade bool) (sample, error) {
	conf := filepath.Join(b.dir, fmt.Sprintf("net%d.conf", set.number))
	text := fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "bench%[1]d", "type": "bridge", "bridge": "cni-bench%[1]d",
	"isGateway": true, "ipMasq": %[2]t, "ipam": {"type": "host-local", "dataDir": %[3]q,
	"ranges": [[{"subnet": "10.%[4]d.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}}`,
		set.number, masquerade, filepath.Join(b.dir, "leases"), 80+set.number)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return sample{}, err
	}
	stdin, err := os.Open(conf)
	if err != nil {
		return sample{}, err
	}
	defer stdin.Close()
	command := exec.Command(filepath.Join(set.dir, "bridge"))
	command.Stdin = stdin
	command.Env = append(os.Environ(), "CNI_COMMAND="+verb, "CNI_CONTAINERID="+id, "CNI_NETNS="+netns,
		"CNI_IFNAME=eth0", "CNI_PATH="+set.dir)
	return timed(command)
}

// makeNetns makes a network namespace that the file at path holds, from a thread
// that is thrown away.
func makeNetns(path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- syscall.Mount("/proc/thread-self/ns/net", path, "", syscall.MS_BIND, "")
	}()
	return <-done
}
