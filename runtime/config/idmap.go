// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// An IDMap is how the owners of files are shown by a mount: config.md, "idmap".
type IDMap struct {
	Recursive  bool
	UIDs, GIDs []specs.LinuxIDMapping
	Namespace  string // path of the user namespace that has the mappings instead
	Wrong      error  // why there is none
	Option     int    // the option that asks for it; -1: the mappings alone do
}

var errNoIDMap = errors.New("there is nothing to map ids by: neither the mount has uidMappings and gidMappings, nor has the container a user namespace")

// MountIDMap returns the mapping of mounts[i], which asks for one: its own, that
// of its option in crun's form ("idmap=uids=0-1000-10#10-2000-5;gids=0-1000-10"),
// or the container's.
func MountIDMap(spec *specs.Spec, i int) IDMap {
	m, ids := &spec.Mounts[i], IDMap{Option: -1}
	var value string
	for j, option := range m.Options {
		name, rest, _ := strings.Cut(option, "=")
		if name == "idmap" || name == "ridmap" {
			ids.Option, ids.Recursive, value = j, name == "ridmap", rest
		}
	}
	switch {
	case value != "" && len(m.UIDMappings)+len(m.GIDMappings) > 0:
		ids.Wrong = errors.New("the mount's uidMappings and gidMappings say it too")
	case value != "":
		ids.Wrong = ids.parse(value, spec.Linux)
	case len(m.UIDMappings)+len(m.GIDMappings) > 0:
		ids.UIDs, ids.GIDs = m.UIDMappings, m.GIDMappings
	default:
		ids.container(spec.Linux)
	}
	return ids
}

// container takes the mappings of the container's user namespace.
func (ids *IDMap) container(l *specs.Linux) {
	ids.Wrong = errNoIDMap
	if l == nil {
		return
	}
	for _, ns := range l.Namespaces {
		switch {
		case ns.Type != specs.UserNamespace:
		case ns.Path != "":
			ids.Namespace, ids.Wrong = ns.Path, nil
		default:
			ids.UIDs, ids.GIDs, ids.Wrong = l.UIDMappings, l.GIDMappings, nil
		}
	}
}

// parse reads crun's form.
func (ids *IDMap) parse(value string, l *specs.Linux) error {
	for _, part := range strings.Split(value, ";") {
		kind, list, _ := strings.Cut(part, "=")
		var err error
		switch {
		case kind == "uids" && ids.UIDs == nil:
			ids.UIDs, err = triplets(list, linuxMappings(l, true))
		case kind == "gids" && ids.GIDs == nil:
			ids.GIDs, err = triplets(list, linuxMappings(l, false))
		default:
			err = fmt.Errorf("%q is not uids=… or gids=…, each once", part)
		}
		if err != nil {
			return err
		}
	}
	if ids.UIDs == nil || ids.GIDs == nil {
		return errors.New("uids= and gids= go together")
	}
	return nil
}

func linuxMappings(l *specs.Linux, uids bool) []specs.LinuxIDMapping {
	switch {
	case l == nil:
		return nil
	case uids:
		return l.UIDMappings
	}
	return l.GIDMappings
}

// triplets reads "0-1000-10#10-2000-5": id in the file system, id on the host, how
// many. With an "@" before them the second is an id in the container.
func triplets(list string, container []specs.LinuxIDMapping) ([]specs.LinuxIDMapping, error) {
	list, relative := strings.CutPrefix(list, "@")
	var all []specs.LinuxIDMapping
	for _, text := range strings.Split(list, "#") {
		parts := strings.Split(text, "-")
		var n [3]uint32
		if len(parts) != 3 {
			return nil, fmt.Errorf("%q is not ID-ID-SIZE", text)
		}
		for i, part := range parts {
			value, err := strconv.ParseUint(part, 10, 32)
			if err != nil || part[0] == '+' {
				return nil, fmt.Errorf("%q is not ID-ID-SIZE", text)
			}
			n[i] = uint32(value)
		}
		m := specs.LinuxIDMapping{ContainerID: n[0], HostID: n[1], Size: n[2]}
		if relative {
			var err error
			if m.HostID, err = onHost(m.HostID, m.Size, container); err != nil {
				return nil, err
			}
		}
		all = append(all, m)
	}
	return all, nil
}

// onHost is the id of the host that an id in the container is.
func onHost(id, size uint32, container []specs.LinuxIDMapping) (uint32, error) {
	for _, m := range container {
		if id >= m.ContainerID && uint64(id)+uint64(size) <= uint64(m.ContainerID)+uint64(m.Size) {
			return id - m.ContainerID + m.HostID, nil
		}
	}
	return 0, fmt.Errorf("the ids from %d on, %d of them, are not in one mapping of the container", id, size)
}
