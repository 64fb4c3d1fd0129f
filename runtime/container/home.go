// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// answer is what AtCreated is answered with: the path of the program and, where
// the plan wants it, HOME.
func (c *child) answer(program string) []byte {
	if !c.plan.Home {
		return append([]byte(program), 0)
	}
	b := make([]byte, plan.PathMax, plan.PathMax+plan.HomeMax)
	copy(b, program)
	return append(append(b, "HOME="+c.findHome()...), 0)
}

// findHome looks the user up in the container's /etc/passwd, passwd(5). Whoever
// is not there is at home in the root.
func (c *child) findHome() string {
	const most = 1 << 20 // of the file; what comes later is not looked at
	root, err := c.openRoot()
	if err != nil {
		return "/"
	}
	defer sys.Close(root)
	// The image may have anything there: nothing is to be waited for.
	fd, err := sys.OpenIn(root, "/etc/passwd", linux.O_RDONLY|linux.O_NONBLOCK|linux.O_NOCTTY)
	if err != nil {
		return "/"
	}
	defer sys.Close(fd)
	if mode, _, err := sys.Fstat(fd); err != nil || mode&linux.S_IFMT != linux.S_IFREG {
		return "/"
	}
	data, err := sys.ReadAt(fd, most)
	if err != nil {
		return "/"
	}
	return homeOf(string(data), c.spec.Process.User.UID)
}

// homeOf returns the home directory of the first user with the id.
func homeOf(passwd string, uid uint32) string {
	want := strconv.FormatUint(uint64(uid), 10)
	for line := range strings.Lines(passwd) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) < 7 || f[2] != want {
			continue
		}
		if home := f[5]; home != "" && len(home) < plan.HomeMax-len("HOME=\x00") && !strings.Contains(home, "\x00") {
			return home
		}
		break
	}
	return "/"
}
