// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plugin

import (
	"slices"
	"strings"
)

// Versions is the versions of the specification that we speak. (0.3.0 and
// 0.3.1 have the same results.)
var Versions = []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}

// Supported tells whether we speak version v.
func Supported(v string) bool { return slices.Contains(Versions, v) }

// AtLeast compares two versions of [Versions].
func AtLeast(v, other string) bool { return strings.Compare(v, other) >= 0 }

// spoken returns the version in which to answer a question of version v.
func spoken(v string) string {
	if Supported(v) {
		return v
	}
	return Versions[len(Versions)-1]
}
