// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package stats

import (
	"strconv"
	"strings"
)

// pairs parses lines of a name and a number.
func pairs(text string) map[string]uint64 {
	m := map[string]uint64{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64); ok && err == nil {
			m[name] = n
		}
	}
	return m
}

// numbers parses numbers with spaces between them; nothing if one is no number.
func numbers(text string) []uint64 {
	var list []uint64
	for word := range strings.FieldsSeq(text) {
		n, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return nil
		}
		list = append(list, n)
	}
	return list
}

// ranges parses the List Format of cpuset(7): "0-2,7".
func ranges(text string) []uint16 {
	var list []uint16
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		first, last, isRange := strings.Cut(part, "-")
		from, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			return nil
		}
		to := from
		if isRange {
			if to, err = strconv.ParseUint(last, 10, 16); err != nil {
				return nil
			}
		}
		for n := from; n <= to; n++ {
			list = append(list, uint16(n))
		}
	}
	return list
}

// psi parses a pressure file; nil where the kernel has none.
//
//	some avg10=0.00 avg60=1.25 avg300=0.00 total=123
func psi(text string) *PSI {
	var p PSI
	known := false
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 1 {
			continue
		}
		data := &p.Some
		if f[0] == "full" {
			data = &p.Full
		}
		known = true
		for _, word := range f[1:] {
			name, value, _ := strings.Cut(word, "=")
			if name == "total" {
				data.Total, _ = strconv.ParseUint(value, 10, 64)
			} else if to := map[string]*float64{"avg10": &data.Avg10, "avg60": &data.Avg60, "avg300": &data.Avg300}[name]; to != nil {
				*to, _ = strconv.ParseFloat(value, 64)
			}
		}
	}
	if !known {
		return nil
	}
	return &p
}

// blkioEntries parses a file of v1, without its totals:
//
//	8:0 Read 4096
//	8:0 512          (time and sectors have no operation)
func blkioEntries(text string) []BlkioEntry {
	var list []BlkioEntry
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		major, minor, ok := device(f[0])
		value, err := strconv.ParseUint(f[len(f)-1], 10, 64)
		if !ok || err != nil {
			continue
		}
		e := BlkioEntry{Major: major, Minor: minor, Value: value}
		if len(f) > 2 {
			e.Op = f[1]
		}
		list = append(list, e)
	}
	return list
}

// ioStat parses v2's io.stat into v1's two lists:
//
//	8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0
func ioStat(text string) (bytes, operations []BlkioEntry) {
	names := map[string]string{"r": "Read", "w": "Write", "d": "Discard"}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		major, minor, ok := device(f[0])
		if !ok {
			continue
		}
		for _, word := range f[1:] {
			name, value, _ := strings.Cut(word, "=")
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil || name == "" || names[name[:1]] == "" {
				continue
			}
			e := BlkioEntry{Major: major, Minor: minor, Op: names[name[:1]], Value: n}
			switch name[1:] {
			case "bytes":
				bytes = append(bytes, e)
			case "ios":
				operations = append(operations, e)
			}
		}
	}
	return bytes, operations
}

// device parses "8:0".
func device(text string) (major, minor uint64, ok bool) {
	first, last, ok := strings.Cut(text, ":")
	major, err1 := strconv.ParseUint(first, 10, 32)
	minor, err2 := strconv.ParseUint(last, 10, 32)
	return major, minor, ok && err1 == nil && err2 == nil
}

// pageSize is the size in "hugepages-2048kB" as cgroup files are called: "2MB".
func pageSize(name string) string {
	text, found := strings.CutPrefix(name, "hugepages-")
	kilobytes, err := strconv.ParseUint(strings.TrimSuffix(text, "kB"), 10, 64)
	if !found || err != nil {
		return ""
	}
	units := []string{"KB", "MB", "GB"}
	for len(units) > 1 && kilobytes >= 1024 && kilobytes%1024 == 0 {
		kilobytes, units = kilobytes/1024, units[1:]
	}
	return strconv.FormatUint(kilobytes, 10) + units[0]
}

// interfaces parses /proc/net/dev, proc_pid_net(5), without the loopback.
func interfaces(text string) []NetworkInterface {
	var list []NetworkInterface
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		n := numbers(rest)
		if !ok || len(n) < 12 || name == "lo" {
			continue
		}
		list = append(list, NetworkInterface{name, n[0], n[1], n[2], n[3], n[8], n[9], n[10], n[11]})
	}
	return list
}
