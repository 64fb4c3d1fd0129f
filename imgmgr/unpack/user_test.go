// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"fmt"
	"strings"
	"testing"
)

const (
	testPasswd = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:100:App:/home/app:/bin/sh\nbroken\n7:x:77:7::/seven:/bin/sh\nminus:x:-1:0::/:/\nbig:x:4294967295:0::/:/\n"
	testGroup  = "root:x:0:\nusers:x:100:app\nwheel:x:10:root,app\nvideo:x:44:app,app\nbroken\n"
)

func TestLookUser(t *testing.T) {
	for _, c := range []struct{ spec, want string }{
		{"", "0:0 [10] /root"}, {"root", "0:0 [10] /root"}, {"0", "0:0 [10] /root"},
		{"app", "1000:100 [10 44] /home/app"}, {"1000", "1000:100 [10 44] /home/app"},
		{"app:wheel", "1000:10 [] /home/app"}, {"app:5", "1000:5 [] /home/app"}, {"app:", "1000:100 [10 44] /home/app"},
		{"1234", "1234:0 [] /"}, {"1234:5678", "1234:5678 [] /"}, {":wheel", "0:10 [] /root"},
		{"7", "77:7 [] /seven"}, // a name of digits wins over the number
		{"4294967294", "4294967294:0 [] /"},
	} {
		u, err := lookUser(c.spec, testPasswd, testGroup)
		if got := fmt.Sprintf("%d:%d %v %s", u.uid, u.gid, u.groups, u.home); err != nil || got != c.want {
			t.Errorf("%q: got %s %v, want %s", c.spec, got, err, c.want)
		}
	}
	for _, bad := range []string{"nosuch", "app:nosuch", "-1", "4294967295", "4294967296", "minus", "big", "1:-1", "../x", "0x10"} {
		if u, err := lookUser(bad, testPasswd, testGroup); err == nil || !strings.Contains(err.Error(), "config config.User") {
			t.Errorf("%q: got %v %v", bad, u, err)
		}
	}
}
