// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unit

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/dbus"
)

// PropertyPrefix begins the annotations that are properties of the unit:
// "org.systemd.property.TimeoutStopUSec".
const PropertyPrefix = "org.systemd.property."

// annotations adds those properties. They come last and so win.
func (u *Unit) annotations(all map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		name, ok := strings.CutPrefix(key, PropertyPrefix)
		if !ok {
			continue
		}
		where := annotation(key)
		const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		if strings.Trim(name, letters) != "" || len(name) < 3 {
			return invalid(where, "names "+strconv.Quote(name)+", which is no property of a unit")
		}
		if name == "Slice" || name == "PIDs" {
			return &fail.Error{Where: configFile + where, Doing: "cannot be changed by an annotation", Hint: "linux.cgroupsPath says the slice"}
		}
		v, err := dbus.ParseVariant(all[key])
		if err == nil {
			name, v, err = microseconds(name, v)
		}
		if err != nil {
			return &fail.Error{Where: configFile + where, Doing: "is no value in GVariant's text form: " + err.Error(),
				Hint: `write strings as "'text'", numbers with their type as "uint64 5"`}
		}
		u.add(where, name, v)
	}
	return nil
}

// microseconds turns a property in seconds, as unit files have it ("TimeoutStopSec"),
// into the one that D-Bus has ("TimeoutStopUSec").
func microseconds(name string, v dbus.Variant) (string, dbus.Variant, error) {
	trimmed, ok := strings.CutSuffix(name, "Sec")
	if !ok || trimmed == "" || trimmed[len(trimmed)-1] < 'a' { // …USec and …NSec, which D-Bus has, are as they are
		return name, v, nil
	}
	words := strings.Fields(v.String()) // the last one is the number
	seconds, err := strconv.ParseFloat(words[len(words)-1], 64)
	const most = 1 << 43 // of seconds, whose millionths fit 63 bits
	if err != nil || !(seconds >= 0 && seconds < most) {
		return name, v, errors.New("a time is a number of seconds")
	}
	return trimmed + "USec", dbus.Uint64(uint64(seconds * 1e6)), nil
}
