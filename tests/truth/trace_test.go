// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package truth_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/coracle-oci/coracle/internal/fail"
)

// A call is one system call of a trace, in the order in which calls begin.
type call struct {
	at   int // place in the trace: where it began
	pid  int // of the thread
	name string
	args string // as strace prints them
	ret  int64  // -errno for a failure
	text string // the line, for messages
	open bool   // the process ended, or the trace did, before it returned
	fd   string // the path of a descriptor that it returned: strace -y
}

var (
	lineForm    = regexp.MustCompile(`^(\d+) +(.*)$`)
	resumedForm = regexp.MustCompile(`^<\.\.\. (\w+) resumed>(.*)$`)
	callForm    = regexp.MustCompile(`^(\w+)\((.*)\) += (.*)$`)
	openForm    = regexp.MustCompile(`^(\w+)\((.*)$`)
	resultForm  = regexp.MustCompile(`^(-?\w+)(?:<(.*)>)?(?: (E[A-Z0-9]+))?`)
)

// errnos is the number of each errno by name.
var errnos = func() map[string]int64 {
	m := map[string]int64{}
	for n := int64(1); n < 134; n++ {
		m[fail.ErrnoName(syscall.Errno(n))] = n
	}
	return m
}()

// readTrace reads what strace -f -o wrote.
func readTrace(t testing.TB, file string) []call {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var calls []call
	pending := map[int]int{} // thread → index of the call that has not returned
	for _, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		m := lineForm.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("%s: %q is no line of strace", file, line)
		}
		pid, rest := mustInt(t, m[1]), m[2]
		switch {
		case strings.HasPrefix(rest, "???"): // a thread that ended with its process
		case strings.HasPrefix(rest, "<... ??? resumed"):
		case strings.HasPrefix(rest, "+++") || strings.HasPrefix(rest, "---"):
		case strings.HasSuffix(rest, "<unfinished ...>") && !strings.HasPrefix(rest, "<..."):
			rest = strings.TrimSuffix(strings.TrimSuffix(rest, "<unfinished ...>"), " ")
			m := openForm.FindStringSubmatch(rest)
			if m == nil {
				t.Fatalf("%s: %q", file, line)
			}
			pending[pid] = len(calls)
			calls = append(calls, call{pid: pid, name: m[1], args: m[2], text: rest, open: true})
		case strings.HasPrefix(rest, "<..."):
			m := resumedForm.FindStringSubmatch(rest)
			i, ok := pending[pid]
			if m == nil || !ok {
				t.Fatalf("%s: %q resumes nothing", file, line)
			}
			delete(pending, pid)
			if whole := callForm.FindStringSubmatch(calls[i].text + m[2]); whole != nil {
				c := parseCall(t, pid, calls[i].text+m[2], whole)
				calls[i] = c
			}
		default:
			if m := callForm.FindStringSubmatch(rest); m != nil {
				calls = append(calls, parseCall(t, pid, rest, m))
			} else {
				t.Fatalf("%s: %q is no call", file, line)
			}
		}
	}
	for i := range calls {
		calls[i].at = i
	}
	return calls
}

func parseCall(t testing.TB, pid int, text string, m []string) call {
	t.Helper()
	c := call{pid: pid, name: m[1], args: m[2], text: text}
	r := resultForm.FindStringSubmatch(m[3])
	switch {
	case strings.HasPrefix(m[3], "?") || strings.Contains(m[3], "ERESTART"): // the kernel makes it again
		c.open = true
	case r == nil:
		t.Fatalf("%q has no result", text)
	case r[1] == "-1" && r[3] != "":
		n, ok := errnos[r[3]]
		if !ok {
			t.Fatalf("%q: unknown errno", text)
		}
		c.ret = -n
	default:
		n, err := strconv.ParseInt(r[1], 0, 64)
		if err != nil {
			u, uerr := strconv.ParseUint(r[1], 0, 64) // of rt_sigreturn, which returns what there was
			if uerr != nil {
				t.Fatalf("%q: %v", text, err)
			}
			n = int64(u)
		}
		c.ret, c.fd = n, r[2]
	}
	return c
}

// raw are the arguments of a call of a raw trace (-e raw=all).
func (c *call) raw(t testing.TB) []uint64 {
	t.Helper()
	if c.args == "" {
		return nil
	}
	var out []uint64
	for _, a := range strings.Split(c.args, ", ") {
		n, err := strconv.ParseUint(a, 0, 64)
		if err != nil {
			t.Fatalf("%q: %v", c.text, err)
		}
		out = append(out, n)
	}
	return out
}

func mustInt(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
