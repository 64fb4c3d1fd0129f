// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
)

// A whitelist is what a devices cgroup of v1 holds: a default and exceptions to
// it (security/device_cgroup.c). A request is an exception if one entry covers
// all of it (default deny) or any of it (default allow).
//
// The kernel knows no order: a rule that takes something back changes only the
// entry with exactly the same numbers and is ignored otherwise, which would
// leave more access than the list of the config says. So the list is resolved
// here, and only the result is written.
type whitelist struct {
	allow      bool // the default
	exceptions []rule
}

// devicesV1 writes the default, which also forgets what the parent passed on,
// and then the exceptions.
func (c *compiler) devicesV1(dir string, rules []rule) error {
	list, err := resolve(rules)
	if err != nil {
		return err
	}
	file := map[bool]string{true: dir + "/devices.allow", false: dir + "/devices.deny"}
	c.write(fromDevices, file[list.allow], "a")
	for _, e := range list.exceptions {
		c.write(e.from, file[!list.allow], e.line())
	}
	return nil
}

// resolve applies the rules in their order to a list that denies everything.
func resolve(rules []rule) (whitelist, error) {
	var list whitelist
	for _, r := range rules {
		if r.total() {
			list = whitelist{allow: r.allow}
			continue
		}
		kinds := []byte{r.kind}
		if r.kind == 'a' {
			// The kernel takes a line that begins with "a" for everything, no
			// matter what follows.
			kinds = []byte{'b', 'c'}
		}
		for _, r.kind = range kinds {
			if err := list.apply(r); err != nil {
				return whitelist{}, err
			}
		}
	}
	return list, nil
}

func (l *whitelist) apply(r rule) error {
	if r.allow == l.allow {
		return l.takeBack(r)
	}
	for i, e := range l.exceptions {
		if e.kind == r.kind && e.major == r.major && e.minor == r.minor {
			l.exceptions[i].access |= r.access
			return nil
		}
	}
	l.exceptions = append(l.exceptions, r)
	return nil
}

// takeBack removes from the exceptions what r gives to the default again. An
// exception of which only some devices are named cannot be split.
func (l *whitelist) takeBack(r rule) error {
	var kept []rule
	for _, e := range l.exceptions {
		if e.overlaps(r) {
			if !r.covers(e) {
				return &fail.Error{Where: configFile + r.from, Doing: "cannot be applied: cgroup v1 cannot take " + r.line() +
					" out of " + e.line() + " of " + e.from, Hint: "list the devices one by one instead of with a wildcard"}
			}
			e.access &^= r.access
		}
		if e.access != 0 {
			kept = append(kept, e)
		}
	}
	l.exceptions = kept
	return nil
}

// overlaps reports whether some request is named by both rules, which have the
// kind 'b' or 'c'.
func (r rule) overlaps(s rule) bool {
	return r.kind == s.kind && r.access&s.access != 0 &&
		(r.major == s.major || r.major == every || s.major == every) &&
		(r.minor == s.minor || r.minor == every || s.minor == every)
}

// covers reports whether r names all devices that s names.
func (r rule) covers(s rule) bool {
	return (r.kind == s.kind || r.kind == 'a') && (r.major == every || r.major == s.major) && (r.minor == every || r.minor == s.minor)
}

// line returns the rule as the kernel reads it: "c 1:3 rwm".
func (r rule) line() string {
	text := string(r.kind) + " " + number(r.major) + ":" + number(r.minor) + " "
	for _, a := range []struct {
		letter string
		access access
	}{{"r", read}, {"w", write}, {"m", mknod}} {
		if r.access&a.access != 0 {
			text += a.letter
		}
	}
	return text
}

func number(n int64) string {
	if n == every {
		return "*"
	}
	return strconv.FormatInt(n, 10)
}

// DeviceLines returns what the rules for devices come to on v1, as the kernel
// reads it: what is allowed, or that all is but for the lines. Rules that are
// wrong are none.
func DeviceLines(r *specs.LinuxResources) (lines []string, all bool) {
	c := compiler{r: r}
	if r == nil {
		c.r = &specs.LinuxResources{}
	}
	rules, ok := c.parseRules()
	if !ok {
		return nil, false
	}
	list, err := resolve(rules)
	if err != nil {
		return nil, false
	}
	for _, e := range list.exceptions {
		lines = append(lines, e.line())
	}
	return lines, list.allow
}
