// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"slices"
	"strconv"
	"strings"
)

// Took tells whether a file that holds content now has taken the value of a
// Write. Kernels show some values in another way than they take them.
func (o Op) Took(content string) bool {
	content = strings.TrimSpace(content)
	_, file := cut(o.Path)
	if key, words, keyed := strings.Cut(o.Value, " "); keyed && file != "cpu.max" {
		return tookLine(content, key, strings.Fields(words))
	}
	switch {
	case content == o.Value:
		return true
	case file == "cpu.max":
		return false
	case strings.HasPrefix(content, "default "): // io.weight, with lines for devices below
		return slices.Equal(lineOf(content, "default"), []string{o.Value})
	case file == "memory.oom_control":
		return strings.HasPrefix(content, "oom_kill_disable "+o.Value)
	case file == "cpuset.cpus" || file == "cpuset.mems":
		return tookList(o.Value, content)
	}
	want, err := strconv.ParseInt(o.Value, 10, 64)
	got, err2 := strconv.ParseInt(content, 10, 64)
	switch {
	case err != nil || err2 != nil: // a file of unified that has a format of its own
		return err != nil && content != "max"
	case want < 0:
		return got >= maxBytes-1<<20 // v1's spelling of no limit, of whatever page size
	}
	return got <= want && want-got < unit(file)
}

// unit is what the kernel rounds a value down to.
func unit(file string) int64 {
	const largestPage = 64 << 10
	size, isHuge := strings.CutPrefix(file, "hugetlb.")
	switch {
	case isHuge:
		return hugepage(size)
	case strings.HasPrefix(file, "memory."):
		return largestPage
	}
	return 1
}

// hugepage returns the bytes of "2MB.limit_in_bytes".
func hugepage(name string) int64 {
	size, _, _ := strings.Cut(name, ".")
	for suffix, factor := range map[string]int64{"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30} {
		if n, err := strconv.ParseInt(strings.TrimSuffix(size, suffix), 10, 64); err == nil && strings.HasSuffix(size, suffix) {
			return n * factor
		}
	}
	return 1
}

// tookLine looks for the words in the line of a key. A limit that was lifted may
// have no line.
func tookLine(content, key string, words []string) bool {
	have := lineOf(content, key)
	for _, w := range words {
		lifted := w == "0" || strings.HasSuffix(w, "=max")
		if !slices.Contains(have, w) && !(lifted && have == nil) {
			return false
		}
	}
	return true
}

// lineOf returns the words behind the key in its line.
func lineOf(content, key string) []string {
	for line := range strings.Lines(content) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key {
			return f[1:]
		}
	}
	return nil
}

// tookList compares lists of cpuset(7). Those with words that stand for numbers of
// the machine are believed.
func tookList(want, got string) bool {
	wanted, ok := numbers(want)
	shown, ok2 := numbers(got)
	return !ok || ok2 && slices.Equal(wanted, shown)
}

func numbers(list string) ([]int, bool) {
	const most = 1 << 16 // of processors
	var all []int
	for part := range strings.SplitSeq(list, ",") {
		if part == "" {
			continue
		}
		first, last, isRange := strings.Cut(part, "-")
		from, err := strconv.Atoi(first)
		to := from
		if isRange && err == nil {
			to, err = strconv.Atoi(last)
		}
		if err != nil || to > most {
			return nil, false
		}
		for n := from; n <= to; n++ {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), true
}

// Undo returns the value that puts a file back that held content before the Write.
func (o Op) Undo(content string) string {
	content = strings.TrimSpace(content)
	_, file := cut(o.Path)
	if file == "memory.oom_control" {
		value, _, _ := strings.Cut(strings.TrimPrefix(content, "oom_kill_disable "), "\n")
		return value
	}
	key, words, keyed := strings.Cut(o.Value, " ")
	if !keyed || file == "cpu.max" {
		return content
	}
	before, undo := lineOf(content, key), []string{key}
	for _, w := range strings.Fields(words) {
		name, _, named := strings.Cut(w, "=")
		i := slices.IndexFunc(before, func(have string) bool { return !named || strings.HasPrefix(have, name+"=") })
		switch {
		case i >= 0:
			undo = append(undo, before[i])
		case named:
			undo = append(undo, name+"=max")
		default:
			undo = append(undo, "0")
		}
	}
	return strings.Join(undo, " ")
}
