// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package fail

import "testing"

func TestNearest(t *testing.T) {
	for _, c := range []struct {
		word  string
		names []string
		want  string
	}{
		{"crate", []string{"start", "create", "state"}, "did you mean create?"},
		{"--bunble", []string{"--bundle", "--pid-file"}, "did you mean --bundle?"},
		{"nofile", []string{"RLIMIT_FSIZE", "RLIMIT_NOFILE"}, "did you mean RLIMIT_NOFILE?"},
		{"net_admin", []string{"CAP_SYS_ADMIN", "CAP_NET_ADMIN"}, "did you mean CAP_NET_ADMIN?"},
		{"CAP_sys_admin", []string{"CAP_SYS_ADMIN"}, "did you mean CAP_SYS_ADMIN?"},
		{"rnu", []string{"run", "ps"}, "did you mean run?"},
		{"strat", []string{"state", "start", "spec"}, "did you mean start?"},
		{"RLIMIT_FOO", []string{"RLIMIT_CPU"}, ""},
		{"SCMP_CMP_EG", []string{"SCMP_CMP_NE", "SCMP_CMP_EQ"}, "did you mean SCMP_CMP_EQ?"},
		{"RLIMIT_NOFLIE", []string{"RLIMIT_NPROC", "RLIMIT_NOFILE"}, "did you mean RLIMIT_NOFILE?"},
		{"x", []string{"ps", "run"}, ""},
		{"galaxy", []string{"network", "mount"}, ""},
		{"", []string{"a_"}, ""},
		{"ru", []string{}, ""},
	} {
		if got := Nearest(c.word, c.names); got != c.want {
			t.Errorf("%s: got %q, want %q", c.word, got, c.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"abcd", "badc", 2}, {"same", "same", 0}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%s, %s: got %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a); got != c.want {
			t.Errorf("%s, %s: got %d, want %d", c.b, c.a, got, c.want)
		}
	}
}
