// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plugin

// ReadOwn reads the fields of the whole configuration that are the plugin's
// own. field tells whether it knew the name and read the value. A field that
// nobody knows is an error of code 2, but not for DEL and GC: whatever the
// configuration says now, what is there has to go.
func (r *Request) ReadOwn(field func(j *Reader, name string) bool) error {
	var unsupported error
	err := Read(stdin, r.Stdin, func(j *Reader) {
		j.Object(func(name string) {
			switch {
			case field(j, name):
			case common(name):
				j.Skip()
			default:
				j.Unknown(name)
			}
		})
		unsupported = j.Supported()
	})
	if err == nil && r.Command != Del && r.Command != GC {
		err = unsupported
	}
	return err
}

// common tells whether any plugin may be given a field: the protocol's own, and
// those that configuration files are known to carry for other readers.
func common(name string) bool {
	switch name {
	case "cniversion", "cniversions", "name", "type", "capabilities", "args", "runtimeconfig", "prevresult", "ipam", "dns",
		"disablecheck", "disablegc", "loadonlyinlinedplugins", "comment", "description", "labels":
		return true
	}
	return false
}
