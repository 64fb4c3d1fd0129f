// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plugin

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// commonKeys is the fields that any plugin may be given: the protocol's own,
// and those that configuration files are known to carry for other readers.
var commonKeys = []string{
	"cniVersion", "cniVersions", "name", "type", "capabilities", "args", "runtimeConfig", "prevResult", "ipam", "dns",
	"disableCheck", "disableGC", "loadOnlyInlinedPlugins", "comment", "description", "labels",
}

// CheckKeys refuses a JSON object with a field that is neither common nor in
// known, unless its value asks for nothing (false, 0, "", null, empty). Fields
// of a namespace ("cni.dev/…", "io.kubernetes.cri…") and "_comment"s pass.
//
// A field that a network's owner wrote and nobody obeys is worse than an error.
func CheckKeys(where string, object []byte, known ...string) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		return Undecodable(strings.TrimSuffix(where, "."), err)
	}
	var unknown []string
	for name, value := range fields {
		same := func(k string) bool { return strings.EqualFold(k, name) }
		switch {
		case slices.ContainsFunc(known, same), where == "" && slices.ContainsFunc(commonKeys, same):
		case strings.ContainsAny(name, "./:"), strings.HasPrefix(name, "_"), asksForNothing(value):
		default:
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return Unsupported(where+unknown[0], "this field is not supported")
}

func asksForNothing(value json.RawMessage) bool {
	switch string(bytes.TrimSpace(value)) {
	case "false", "0", `""`, "null", "[]", "{}":
		return true
	}
	return false
}
