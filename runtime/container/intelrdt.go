// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// resctrl takes a host step of linux.intelRdt.
func (m *maker) resctrl(h *plan.HostStep) error {
	switch h.Do {
	case plan.OwnGroup:
		return m.ownGroup(h.Path)
	case plan.MakeGroup:
		return os.Mkdir(h.Path, 0o755)
	case plan.WriteSchemata:
		return writeSchemata(h.Path, h.Value)
	case plan.CompareSchemata:
		return compareSchemata(h.Path, h.Value)
	}
	return sys.WriteFile(h.Path, strings.Replace(h.Value, "PID", itoa(m.process), 1))
}

// ownGroup makes a group that goes with the container. It is in the journal before
// it is there; one that is there already is somebody else's, and stays.
func (m *maker) ownGroup(dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		return &fail.Error{Doing: "make the group " + dir, Err: syscall.EEXIST, Hint: "somebody else has made it: name it in closID to use it, or remove it"}
	}
	m.state.Groups = append(m.state.Groups, dir)
	if err := m.state.write(); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o755)
}

// removeGroups removes the groups of a container: processes that are still in one
// go to the group above it.
func (s *State) removeGroups() error {
	for _, dir := range slices.Backward(s.Groups) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return &fail.Error{Where: s.ID, Doing: "remove its group of resctrl", Err: err}
		}
	}
	return nil
}

// updateGroup changes what the group is given that the container is in, and returns
// what puts it back. As with runc that may be a group that others are in, too: here
// it is what the caller asks for, unlike at create.
func (s *State) updateGroup(r *specs.LinuxIntelRdt) (putBack func(), err error) {
	lines := plan.Schemata(r)
	if lines == "" {
		return func() {}, nil
	}
	c, err := s.keptConfig()
	if err != nil {
		return nil, err
	}
	const where = config.Name + " linux.intelRdt"
	if c.Linux == nil || c.Linux.IntelRdt == nil {
		return nil, &fail.Error{Where: where, Doing: "the container was created without linux.intelRdt", Hint: "leave the flag out"}
	}
	putBack, err = changeSchemata(plan.ResctrlGroup(s.ID, c.Linux.IntelRdt)+"/schemata", lines)
	if e, ok := errors.AsType[*fail.Error](err); ok {
		e.Where = where
	}
	return putBack, err
}

// changeSchemata writes lines to a file of schemata: all of them, or none.
func changeSchemata(file, lines string) (putBack func(), err error) {
	before, err := os.ReadFile(file)
	if err != nil {
		return nil, &fail.Error{Doing: "read the schemata", Err: err}
	}
	putBack = func() { _ = writeSchemata(file, string(before)) }
	if err = writeSchemata(file, lines); err != nil {
		putBack()
	}
	return putBack, err
}

// writeSchemata writes one schema after the other, for an error that names it; the
// kernel's own words are in a file beside.
func writeSchemata(file, lines string) error {
	for line := range strings.Lines(lines) {
		if err := sys.WriteFile(file, line); err != nil {
			doing := "write " + strings.TrimSpace(line) + " to " + file
			if words, _ := os.ReadFile(plan.Resctrl + "/info/last_cmd_status"); len(words) > 0 {
				doing += ": " + strings.TrimSpace(string(words))
			}
			return &fail.Error{Doing: doing, Err: err}
		}
	}
	return nil
}

// compareSchemata makes sure that a group that is there is what the config says.
func compareSchemata(file, lines string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	have := map[string]map[string]string{}
	for line := range strings.Lines(string(data)) {
		resource, domains := parseSchema(line)
		have[resource] = domains
	}
	want := map[string]map[string]string{}
	for line := range strings.Lines(lines) { // later ones replace earlier ones
		resource, domains := parseSchema(line)
		want[resource] = domains
	}
	for resource, domains := range want {
		for id, value := range domains {
			if got, ok := have[resource][id]; !ok || got != value {
				return &fail.Error{Doing: file + " has " + resource + ":" + id + "=" + got + ", not " + value,
					Hint: "the group is there already: use another closID, or the schemas that it has"}
			}
		}
	}
	return nil
}

// parseSchema reads a line such as "  L3:0=00ff;1=f". Leading zeros mean nothing.
func parseSchema(line string) (resource string, domains map[string]string) {
	resource, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
	domains = map[string]string{}
	for item := range strings.SplitSeq(rest, ";") {
		id, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		value = strings.ToLower(strings.TrimLeft(strings.TrimSpace(value), "0"))
		if value == "" {
			value = "0"
		}
		domains[strings.TrimSpace(id)] = value
	}
	return resource, domains
}
