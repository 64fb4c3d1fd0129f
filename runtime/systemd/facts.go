// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package systemd

import (
	"os"
	"slices"
	"strings"

	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/facts"
)

// Facts asks which systemd is to make the container's scope: that of the machine
// for root, else that of the user, which knows where its own cgroup is.
func Facts() (*facts.Systemd, error) {
	ids, err := sys.ReadInto(make([]byte, 0, 512), "/proc/self/uid_map")
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 && slices.Equal(strings.Fields(string(ids)), []string{"0", "0", "4294967295"}) {
		return &facts.Systemd{ControlGroup: "/"}, nil
	}
	b, err := Connect(true)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	path, err := b.ControlGroup()
	return &facts.Systemd{User: true, ControlGroup: path}, err
}
