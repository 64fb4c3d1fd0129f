// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import "slices"

// mounts checks mounts: config.md, "Mounts".
func (v *validator) mounts() {
	for i, m := range v.config.Mounts {
		if m.Destination == "" {
			v.refuse(path("mounts[%d].destination", i), "is missing")
		} else if m.Destination[0] != '/' {
			v.warn(path("mounts[%d].destination", i), "%q is not an absolute path; taken from /", m.Destination)
		}
		bind := IsBind(m.Options)
		switch {
		case bind && m.Source == "":
			v.refuse(path("mounts[%d].source", i), "is missing")
		case !bind && (m.Type == "bind" || m.Type == "rbind"):
			// The type alone made no bind mount in any version of the spec, and
			// there is no file system of that name.
			v.refuse(path("mounts[%d].options", i), "have neither bind nor rbind, but the type is %s", m.Type).Hint =
				`add "rbind" or "bind" to the options`
		case !bind && m.Type == "" && !slices.Contains(m.Options, "remount"):
			v.refuse(path("mounts[%d].type", i), "is missing")
		}
		for j, option := range m.Options {
			v.mountOption(option, bind, path("mounts[%d].options[%d]", i, j))
		}
		const remove = "remove it: owners then are shown as they are on the host"
		v.unsupported(len(m.UIDMappings) > 0, path("mounts[%d].uidMappings", i), remove)
		v.unsupported(len(m.GIDMappings) > 0, path("mounts[%d].gidMappings", i), remove)
	}
}

// mountOption checks one option. Unknown ones are handed to the file system;
// a bind mount has none that could take them.
func (v *validator) mountOption(option string, bind bool, where at) {
	switch {
	case option == "idmap" || option == "ridmap":
		v.unsupported(true, where, "remove "+option+": owners then are shown as they are on the host")
	case option == "tmpcopyup":
		v.unsupported(true, where, "remove it: the mount then is empty at first")
	case option == "":
		v.refuse(where, "is empty")
	case bind && !KnownMountOption(option):
		v.refuse(where, "unknown option %q for a bind mount", option).Hint = nearest(option, mountOptions)
	}
}
