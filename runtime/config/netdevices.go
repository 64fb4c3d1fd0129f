// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/decode"
)

// netDevices checks linux.netDevices. A name with "%d" stands for the first number
// that is free, dev_alloc_name() in net/core/dev.c.
func (v *validator) netDevices(devices map[string]specs.LinuxNetDevice) {
	if len(devices) == 0 {
		return
	}
	if v.namespace("network") == nil {
		v.refuse(path("linux.netDevices"), "needs a network namespace").Hint = `add {"type": "network"} to linux.namespaces, or remove linux.netDevices`
	}
	const what = `is no name of a network device: up to 15 bytes without spaces, "/" and ":"`
	taken := map[string]string{}
	for _, name := range sorted(devices) {
		field, to := "linux.netDevices"+decode.Member(false, name), devices[name].Name
		if !deviceName(name) {
			v.refuse(path("%s", field), what)
		}
		switch plain := strings.Replace(to, "%d", "", 1); {
		case to == "":
			to = name
		case !deviceName(to):
			v.refuse(path("%s.name", field), "%q "+what, to)
		case strings.Contains(plain, "%"):
			v.refuse(path("%s.name", field), "%q has a %% that is not the one of %%d", to)
		}
		if other, ok := taken[to]; ok && !strings.Contains(to, "%d") {
			v.refuse(path("%s.name", field), "%s is given to %s already", to, other)
		}
		taken[to] = name
	}
}

// deviceName is dev_valid_name() in net/core/dev.c.
func deviceName(name string) bool {
	const most = 15 // IFNAMSIZ - 1
	return name != "" && name != "." && name != ".." && len(name) <= most &&
		!strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '/' || r == ':' || r == 0x7f })
}
