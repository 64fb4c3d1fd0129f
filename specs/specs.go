// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package specs is what the three programs share in data. It computes nothing
// and touches nothing; who writes the files decides where.
package specs

import (
	_ "embed"
	"strconv"
	"strings"
)

//go:embed config.json
var config string

//go:embed config-rootless.json
var rootless string

//go:embed seccomp.json
var seccomp string

// Seccomp returns the default seccomp profile, a template in the form of docker's
// and podman's: rules depend on capabilities and machines. It allows exactly what
// docker's default profile does (tests/seccomp), in an order of its own. What it has
// no rule for gets EPERM, so that programs take it for a missing right.
func Seccomp() []byte { return []byte(seccomp) }

// Config returns the default config.json: a shell at a terminal, in namespaces of its own
// with few capabilities. It has the shape of runc's, which scripts edit with jq.
func Config() []byte { return []byte(config) }

// RootlessConfig returns the default config.json for an ordinary user with the
// ids uid and gid. It differs from [Config] in what such a user cannot have: a
// user namespace maps root to the user, the network is the host's (and therefore
// /sys is too), /dev/pts has no owner that is not mapped, and there are no limits.
func RootlessConfig(uid, gid int) []byte {
	const mapping = `"hostID": 0` // twice: of uidMappings, then of gidMappings
	before, rest, _ := strings.Cut(rootless, mapping)
	between, after, _ := strings.Cut(rest, mapping)
	return []byte(before + `"hostID": ` + strconv.Itoa(uid) + between + `"hostID": ` + strconv.Itoa(gid) + after)
}
