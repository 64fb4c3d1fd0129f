// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"strings"

	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// A Parameter is one call of fsconfig(2).
type Parameter struct {
	Key, Value string
	Flag       bool // it has no value
	Optional   bool // EINVAL is no matter
}

// valueMost is the longest value that fsconfig(2) takes.
const valueMost = 255

// String is a parameter as people write it.
func (p Parameter) String() string {
	if p.Flag {
		return p.Key
	}
	return p.Key + "=" + p.Value
}

// parameters are what a file system is made with.
func parameters(kind, source string, o mountOptions) []Parameter {
	var list []Parameter
	if source != "" {
		list = append(list, Parameter{Key: "source", Value: source})
	}
	for _, flag := range o.super {
		if flag == "iversion" {
			// fsopen(2) has no flag for it, and most file systems no choice; ext4 did.
			list = append(list, Parameter{Key: "i_version", Flag: true, Optional: true})
			continue
		}
		list = append(list, Parameter{Key: flag, Flag: true})
	}
	if o.flat.Set&linux.MOUNT_ATTR_RDONLY != 0 && !shared(kind) {
		list = append(list, Parameter{Key: "ro", Flag: true})
	}
	for _, data := range o.data {
		for _, item := range splitData(kind, data) {
			key, value, ok := strings.Cut(item, "=")
			if kind == "overlay" && key == "lowerdir" && len(value) > valueMost {
				list = append(list, layers(value)...)
				continue
			}
			list = append(list, Parameter{Key: key, Value: value, Flag: !ok})
		}
	}
	return list
}

// shared tells whether an instance of a file system may be one that others have
// too, now or later: "ro" then is of the mount alone. For all else it is of the
// file system as well, as with mount(2): a disk must not be written to.
func shared(kind string) bool {
	switch kind {
	case "tmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "ramfs", "debugfs", "tracefs", "securityfs", "configfs", "bpf", "binfmt_misc", "hugetlbfs", "devtmpfs", "efivarfs", "pstore", "fusectl":
		return true
	}
	return false
}

// layers names the layers of an overlay one by one, for a list that is too long
// for one value. Linux 6.5 and newer know "lowerdir+".
func layers(list string) []Parameter {
	var all []Parameter
	var name strings.Builder
	for i := 0; i <= len(list); i++ {
		switch {
		case i == len(list) || list[i] == ':':
			all = append(all, Parameter{Key: "lowerdir+", Value: name.String()})
			name.Reset()
		case list[i] == '\\' && i+1 < len(list):
			i++
			name.WriteByte(list[i])
		default:
			name.WriteByte(list[i])
		}
	}
	return all
}

// splitData splits what mount(8) calls data at its commas. overlay's directories
// may have a comma in their names, with a backslash before it.
func splitData(kind, data string) []string {
	if kind != "overlay" || !strings.Contains(data, `\,`) {
		return strings.Split(data, ",")
	}
	var items []string
	from := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case ',':
			items, from = append(items, data[from:i]), i+1
		}
	}
	return append(items, data[from:])
}
