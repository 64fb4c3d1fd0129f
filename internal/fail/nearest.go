// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package fail

import "strings"

// Nearest returns "did you mean X?" for the name that is closest to word, or ""
// where none is close: a wrong hint is worse than none. It does not mind case,
// and takes the last part of a name for the whole: "nofile" for RLIMIT_NOFILE,
// "net_admin" for CAP_NET_ADMIN.
func Nearest(word string, names []string) string {
	best, closest := "", 1+len(word)/3
	for _, name := range names {
		d := distance(strings.ToLower(word), strings.ToLower(name))
		if word != "" && strings.HasSuffix(name, "_"+strings.ToUpper(word)) {
			d = 0
		}
		if d < closest {
			best, closest = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "?"
}

// distance is Levenshtein's: the number of letters to add, drop or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
