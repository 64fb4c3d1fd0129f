// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package fail

import "strings"

// Nearest returns "did you mean X?" for the name that is closest to word, or ""
// where none is close: a wrong hint is worse than none. It does not mind case,
// and takes the last part of a name for the whole: "nofile" for RLIMIT_NOFILE,
// "net_admin" for CAP_NET_ADMIN.
func Nearest(word string, names []string) string {
	// What all names of a family begin with is no sign that a certain one was meant.
	family := strings.LastIndexByte(word, '_') + 1
	best, closest := "", 1+min(family, 1)+(len(word)-family)/3
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

// distance is Levenshtein's, with Damerau's swaps: the number of letters to add,
// drop or change, or of neighbours to swap.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
