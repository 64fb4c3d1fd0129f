// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// mounts checks mounts: config.md, "Mounts".
func (v *validator) mounts() {
	for i := range v.config.Mounts {
		m := &v.config.Mounts[i]
		if m.Destination == "" {
			v.refuse(path("mounts[%d].destination", i), "is missing")
		} else if m.Destination[0] != '/' {
			v.warn(path("mounts[%d].destination", i), "%q is not an absolute path; taken from /", m.Destination)
		}
		bind, remount := IsBind(m.Options), slices.Contains(m.Options, "remount")
		switch {
		case bind && m.Source == "" && !remount:
			v.refuse(path("mounts[%d].source", i), "is missing")
		case !bind && (m.Type == "bind" || m.Type == "rbind"):
			// The type alone made no bind mount in any version of the spec, and
			// there is no file system of that name.
			v.refuse(path("mounts[%d].options", i), "have neither bind nor rbind, but the type is %s", m.Type).Hint =
				`add "rbind" or "bind" to the options`
		case !bind && m.Type == "" && !remount:
			v.refuse(path("mounts[%d].type", i), "is missing")
		}
		for j, option := range m.Options {
			v.mountOption(option, bind, m.Type, path("mounts[%d].options[%d]", i, j))
		}
		v.mountMappings(i, m)
	}
}

// mountOption checks one option. Unknown ones are handed to the file system;
// a bind mount has none that could take them.
func (v *validator) mountOption(option string, bind bool, kind string, where at) {
	switch {
	case option == "":
		v.refuse(where, "is empty")
	case bind && !KnownMountOption(option):
		v.refuse(where, "unknown option %q for a bind mount", option).Hint = nearest(option, mountOptions)
	case option == "tmpcopyup" && (bind || kind != "tmpfs"):
		v.refuse(where, "tmpcopyup is for a mount of type tmpfs")
	case (option == "copy-symlink" || option == "src-nofollow") && !bind:
		v.refuse(where, "%s is for bind mounts", option)
	case !bind && !KnownMountOption(option) && strings.ContainsRune(option, 0):
		v.refuse(where, "has a zero byte in it")
	}
}

// mountMappings checks what maps the owners of a mount's files.
func (v *validator) mountMappings(i int, m *specs.Mount) {
	asked := slices.ContainsFunc(m.Options, isIDMap)
	switch uids, gids := len(m.UIDMappings) > 0, len(m.GIDMappings) > 0; {
	case uids && !gids:
		v.refuse(path("mounts[%d].gidMappings", i), "is missing: uidMappings and gidMappings go together")
	case gids && !uids:
		v.refuse(path("mounts[%d].uidMappings", i), "is missing: uidMappings and gidMappings go together")
	case uids || asked:
		ids := MountIDMap(&v.config.Spec, i)
		if ids.Wrong != nil {
			v.refuse(path("mounts[%d].options[%d]", i, ids.Option), "%s", ids.Wrong)
		} else if len(m.UIDMappings) > 0 {
			v.ranges(ids.UIDs, path("mounts[%d].uidMappings", i))
			v.ranges(ids.GIDs, path("mounts[%d].gidMappings", i))
		} else if strings.Contains(m.Options[ids.Option], "=") {
			v.ranges(ids.UIDs, path("mounts[%d].options[%d] uids", i, ids.Option))
			v.ranges(ids.GIDs, path("mounts[%d].options[%d] gids", i, ids.Option))
		}
	}
}

func isIDMap(option string) bool {
	name, _, _ := strings.Cut(option, "=")
	return name == "idmap" || name == "ridmap"
}
