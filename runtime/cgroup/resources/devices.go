// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
)

const (
	fromDevices  = "linux.resources.devices"
	fromDefaults = "linux.resources.devices (default devices)"
)

// access is a set of operations on a device: BPF_DEVCG_ACC_* of linux/bpf.h.
type access uint8

const (
	mknod access = 1 << iota
	read
	write
	allAccess = mknod | read | write
)

// A rule allows or denies operations on some devices.
//
// Rules are ordered. Each requested operation on its own is decided by the last
// rule that names the device and the operation; without one it is denied. An
// open for reading and writing is thus allowed if both are.
type rule struct {
	allow        bool
	kind         byte // 'b', 'c', or 'a' for both
	major, minor int64
	access       access
	from         string
}

// every is the wildcard of a major or minor number.
const every = -1

// devices compiles linux.resources.devices: config-linux.md, Allowed Device list.
//
// As in other runtimes everything is denied before the first rule, and after
// the last one the devices that each container has are allowed (defaultDevices):
// no configuration takes /dev/null away.
func (c *compiler) devices() {
	rules, ok := c.parseRules()
	if !ok {
		return
	}
	h, ok := c.find("devices")
	if ok && !h.v2 {
		c.note(c.devicesV1(h.dir, rules))
		return
	}
	for _, p := range c.places {
		if p.v2 { // a program can be attached wherever v2 is mounted, also beside v1
			c.out.Limit = append(c.out.Limit, Op{Kind: Devices, Path: p.leaf, Program: deviceProgram(rules), From: fromDevices})
			return
		}
	}
	if len(c.r.Devices) > 0 { // else nobody asked
		_, err := c.on("devices", fromDevices)
		c.note(err)
	}
}

// defaultDevices are the devices of config-linux.md, Default Devices, and of the
// container's terminals. All nodes may be made, as in other runtimes: package
// managers do it, and a node gives no access.
func defaultDevices() []rule {
	rules := []rule{{true, 'c', every, every, mknod, fromDefaults}, {true, 'b', every, every, mknod, fromDefaults}}
	for _, d := range [][2]int64{
		{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, // null zero full random urandom
		{5, 0}, {5, 1}, {5, 2}, {136, every}, // tty console ptmx pts/*
	} {
		rules = append(rules, rule{true, 'c', d[0], d[1], allAccess, fromDefaults})
	}
	return rules
}

// parseRules returns the rules of the config and the default ones after them, and
// whether all of them can be meant.
func (c *compiler) parseRules() ([]rule, bool) {
	before := len(c.wrong)
	rules := make([]rule, 0, len(c.r.Devices)+16)
	for i, d := range c.r.Devices {
		r := rule{allow: d.Allow, from: fromDevices + "[" + strconv.Itoa(i) + "]"}
		var err error
		r.kind, err = deviceKind(r.from, d.Type)
		c.note(err)
		r.access, err = deviceAccess(r.from, d.Access, d.Allow)
		c.note(err)
		r.major, err = numberOrAny(r.from+".major", d.Major)
		c.note(err)
		r.minor, err = numberOrAny(r.from+".minor", d.Minor)
		c.note(err)
		rules = append(rules, r)
	}
	return append(rules, defaultDevices()...), len(c.wrong) == before
}

// deviceKind parses a type; "u" is another name of "c" in mknod(1).
func deviceKind(from, kind string) (byte, error) {
	switch kind {
	case "", "a":
		return 'a', nil
	case "c", "u":
		return 'c', nil
	case "b":
		return 'b', nil
	}
	return 0, invalid(from+".type", "is "+strconv.Quote(kind)+`; it is "a", "b" or "c"`)
}

// deviceAccess parses a set of r, w and m. A rule without a set denies all, but
// it does not allow anything by accident.
func deviceAccess(from, text string, allow bool) (access, error) {
	if text == "" {
		if allow {
			return 0, &fail.Error{Where: configFile + from + ".access", Doing: "is missing", Hint: `"rwm" is reading, writing and making nodes`}
		}
		return allAccess, nil
	}
	var a access
	for _, letter := range text {
		i := strings.IndexRune("mrw", letter)
		if i < 0 {
			return 0, invalid(from+".access", "is "+strconv.Quote(text)+`; it is made of the letters "r", "w" and "m"`)
		}
		a |= mknod << i
	}
	return a, nil
}

// numberOrAny checks a major or minor number; -1 is how some engines say "all",
// as others do by leaving it out.
func numberOrAny(from string, n *int64) (int64, error) {
	switch {
	case n == nil:
		return every, nil
	case *n < every || *n > 1<<32-1:
		return 0, invalid(from, "is "+strconv.FormatInt(*n, 10)+", which is no device's number; -1 is all of them")
	}
	return *n, nil
}

// total reports whether the rule decides everything.
func (r rule) total() bool {
	return r.kind == 'a' && r.major == every && r.minor == every && r.access == allAccess
}
