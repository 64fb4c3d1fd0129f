// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/cgroup"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/probe"
)

// Update changes limits of a container that has not ended, and the schemata of its
// group of resctrl. It is done when the kernel has all of them; when it refuses one,
// those before it are put back.
func (s Store) Update(id string, r *specs.LinuxResources, rdt *specs.LinuxIntelRdt, warn func(string, ...any)) error {
	if err := config.ValidateIntelRdt(rdt); err != nil {
		return err
	}
	return s.change(id, func(state *State, now Status) error {
		if now != Running && now != Created && now != Paused {
			return &fail.Error{Where: id, Err: ErrNotRunning}
		}
		putBack, err := state.updateGroup(rdt)
		if err != nil {
			return err
		}
		if err = state.updateCgroups(r, warn); err != nil {
			putBack()
		}
		return err
	})
}

func (s *State) updateCgroups(r *specs.LinuxResources, warn func(string, ...any)) error {
	f, err := probe.Cgroup()
	if err != nil {
		return err
	}
	change, err := resources.Update(s.leaves(), r, f, cgroup.Read)
	if err != nil {
		return err
	}
	for _, w := range change.Warnings {
		warn("%s", w)
	}
	kills, _ := cgroup.OOMKills(s.Cgroups)
	if err := cgroup.Update(change.Ops); err != nil {
		return err
	}
	if err := s.updateUnit(change); err != nil {
		return err
	}
	// v2 ends processes rather than refuse a limit below what is in use.
	if after, _ := cgroup.OOMKills(s.Cgroups); after > kills {
		warn("%s: the kernel killed %d processes of the container to get below the new limit", s.ID, after-kills)
	}
	return nil
}
