// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unit

import (
	"slices"
	"strings"

	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
	"github.com/coracle-oci/coracle/runtime/dbus"
	"github.com/coracle-oci/coracle/runtime/facts"
)

const fromDevices = "linux.resources.devices"

// devicesOnV1 reports whether access to devices is up to version 1.
//
// On version 2 systemd is told nothing of devices: the program that package
// resources attaches stays whatever systemd does, while a list of systemd's is
// made again with each "systemctl daemon-reload" and then lacks what the list
// could not say. On version 1 there is one list, and without a property systemd
// would allow everything.
func devicesOnV1(f facts.Cgroup) bool {
	return slices.ContainsFunc(f.V1, func(h facts.Hierarchy) bool { return slices.Contains(h.Controllers, "devices") })
}

// devices adds the list of version 1, as far as systemd can say it.
func (u *Unit) devices(r Request) {
	lines, all := resources.DeviceLines(r.Resources)
	if all {
		u.add(fromDevices, "DevicePolicy", dbus.String("auto"))
		return
	}
	list := []any{}
	for _, line := range lines { // "c 1:3 rwm"
		words := strings.Fields(line)
		major, minor, _ := strings.Cut(words[1], ":")
		kind := map[string]string{"b": "block", "c": "char"}[words[0]]
		switch {
		case major == "*":
			list = append(list, []any{kind + "-*", words[2]})
		case minor != "*":
			list = append(list, []any{"/dev/" + kind + "/" + words[1], words[2]})
		case kind == "char" && major == "136": // the names are those of /proc/devices
			list = append(list, []any{"char-pts", words[2]})
		}
	}
	u.add(fromDevices, "DevicePolicy", dbus.String("strict"))
	u.add(fromDevices, "DeviceAllow", dbus.Variant{Signature: "a(ss)", Value: list})
}
