// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"github.com/coracle-oci/coracle/runtime/cgroup"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
	"github.com/coracle-oci/coracle/runtime/cgroup/unit"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/probe"
	"github.com/coracle-oci/coracle/runtime/systemd"
)

// A Unit is the scope of systemd that a container is in. Its directories are
// among State.Cgroups; limits are set in Subgroup below them, if it has one.
type Unit struct {
	Name     string `json:"name"`
	User     bool   `json:"user,omitempty"` // of the systemd of the user
	Path     string `json:"path"`           // from the root of the hierarchies
	Subgroup string `json:"subgroup,omitempty"`
}

// leaves is the directories in which the container's processes and limits are.
func (s *State) leaves() []string {
	if s.Unit == nil || s.Unit.Subgroup == "" {
		return s.Cgroups
	}
	leaves := make([]string, len(s.Cgroups))
	for i, dir := range s.Cgroups {
		leaves[i] = dir + "/" + s.Unit.Subgroup
	}
	return leaves
}

// updateUnit tells systemd of limits that have changed. What it then writes into
// files is rounded; they get the exact values again.
func (s *State) updateUnit(change resources.Change) error {
	if s.Unit == nil {
		return nil
	}
	properties := unit.Limits(change.Limits)
	if len(properties) == 0 {
		return nil
	}
	bus, err := systemd.Connect(s.Unit.User)
	if err != nil {
		return err
	}
	defer bus.Close()
	if err := bus.Set(s.Unit.Name, properties); err != nil {
		return err
	}
	return cgroup.Update(change.Ops)
}

// startUnit has systemd move the process to a scope, if the plan says so.
func (m *maker) startUnit() error {
	var properties []unit.Property
	for i := range m.plan.Host {
		switch h := &m.plan.Host[i]; h.Do {
		case plan.UnitProperty:
			properties = append(properties, *h.Property)
		case plan.StartUnit:
			bus, err := systemd.Connect(h.Unit.User)
			if err != nil {
				return err
			}
			defer bus.Close()
			m.unit, m.cgroups = true, m.state.Cgroups
			if err := bus.Start(h.Unit.Name, properties, m.pid); err != nil {
				return m.orReported(err)
			}
		}
	}
	return nil
}

// orReported prefers what the process may have said of its end: systemd could not
// find one that has ended.
func (m *maker) orReported(err error) error {
	if report, _, gone := receive(m.gate, 0); gone == nil && report != nil && report.Step >= 0 {
		return stepError(&m.plan.Init.Steps[report.Step], report.Errno)
	}
	return err
}

// stopUnit removes the scope. systemd does so by itself when its last process
// ends, but not at once.
func (s *State) stopUnit() error {
	if s.Unit == nil {
		return nil
	}
	bus, err := systemd.Connect(s.Unit.User)
	if err != nil {
		return err
	}
	defer bus.Close()
	return bus.Stop(s.Unit.Name)
}

// configuredScope is where the config put the container with the systemd driver.
func (s *State) configuredScope(path string, annotations map[string]string) ([]string, error) {
	f, err := probe.Facts(nil)
	if err != nil {
		return nil, err
	}
	instance, err := systemd.Facts(f)
	if err != nil {
		return nil, err
	}
	u, err := unit.Compile(unit.Request{ID: s.ID, CgroupsPath: path, Annotations: annotations, Cgroup: f.Cgroup, Systemd: *instance})
	if err != nil {
		return nil, err
	}
	s.Unit = &Unit{Name: u.Name, User: u.User, Path: u.Path, Subgroup: u.Subgroup}
	c, wrong := resources.CompileScope(resources.Scope{Path: u.Path, Subgroup: u.Subgroup}, nil, f.Cgroup)
	if len(wrong) > 0 {
		return nil, wrong[0]
	}
	return c.Dirs, nil
}
