// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package systemd

import "github.com/coracle-oci/coracle/runtime/facts"

// Facts asks which systemd is to make the container's scope: that of the machine
// for root, else that of the user, which knows where its own cgroup is.
func Facts(f facts.Facts) (*facts.Systemd, error) {
	if f.UID == 0 && !f.UserNamespace {
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
