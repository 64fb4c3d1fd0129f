// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import "strconv"

func itoa(n int) string { return strconv.Itoa(n) }

// quote shortens what no terminal should have to show.
func quote(s string) string {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return strconv.Quote(s)
}
