// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
)

// mapIDs adds the mapping of ids that a mount asks for. It is the parent that
// sets it: whoever does must control the file system and the user namespace that
// describes the mapping, and the container controls neither.
func (c *compiler) mapIDs(i int, o *mountOptions) {
	m := &c.spec.Mounts[i]
	field := index("mounts", i)
	ids := config.MountIDMap(c.spec, i)
	switch {
	case ids.Wrong != nil:
		c.refuse(field+".options", ids.Wrong.Error(), 0, "") // package config has said where
		return
	case o.is(remount):
		c.refuse(field+".options", "only a new mount can have a mapping of ids", 0, "")
		return
	case !o.is(bind) && (m.Type == "cgroup" || m.Type == "cgroup2"):
		c.refuse(field+".options", m.Type+" takes no mapping of ids", linux.EINVAL, "")
		return
	}
	text := "idmap"
	if ids.Recursive {
		text = "ridmap"
	}
	if ids.Namespace != "" {
		text += " of " + ids.Namespace
	} else {
		text += " uids" + mapText(ids.UIDs) + " gids" + mapText(ids.GIDs)
	}
	o.idmap = MountAttr{Recursive: ids.Recursive, IDMap: &ids, Text: text}
}

func mapText(list []specs.LinuxIDMapping) (text string) {
	for _, m := range list {
		text += " " + strconv.Itoa(int(m.ContainerID)) + ":" + strconv.Itoa(int(m.HostID)) + ":" + strconv.Itoa(int(m.Size))
	}
	return text
}
