// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"strings"
	"testing"
)

func TestHomeOf(t *testing.T) {
	const passwd = "# comment\nroot:x:0:0:root:/root:/bin/sh\nbroken:x:5\nme:x:1000:1000::/home/me:/bin/sh\nagain:x:1000:1:x:/other:/bin/sh\nempty:x:7:7:::\n+::::::\nlast:x:8:8::/last:/bin/sh"
	for uid, want := range map[uint32]string{0: "/root", 1000: "/home/me", 5: "/", 7: "/", 8: "/last", 9: "/"} {
		if got := homeOf(passwd, uid); got != want {
			t.Errorf("%d: got %q, want %q", uid, got, want)
		}
	}
	if got := homeOf("x:x:1:1::/"+strings.Repeat("x", 5000)+":/bin/sh\n", 1); got != "/" {
		t.Errorf("too long: %d bytes", len(got))
	}
	if got := homeOf("x:x:1:1::/a\x00b:/bin/sh\n", 1); got != "/" {
		t.Errorf("with a zero byte: %q", got)
	}
}
