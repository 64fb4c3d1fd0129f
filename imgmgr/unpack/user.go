// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
)

// A user is whom the container's process runs as.
type user struct {
	uid, gid uint32
	groups   []uint32
	home     string
}

// An account is a line of passwd(5): name:password:uid:gid:comment:home:shell.
type account struct {
	name     string
	uid, gid uint32
	home     string
}

// A group is a line of group(5): name:password:gid:member,member.
type group struct {
	name    string
	gid     uint32
	members []string
}

// lookUser resolves the User of an image's config in the texts of the image's
// own passwd and group: USER, UID, USER:GROUP, UID:GID and mixtures of them. A
// name wins over a number of the same spelling, as Docker has it. Without a
// group, it is the user's own, and the groups that list the user come with it.
func lookUser(spec, passwd, groups string) (user, error) {
	const where = "config config.User"
	name, groupName, hasGroup := strings.Cut(spec, ":")
	var u user
	var found *account
	if name == "" {
		name = "0"
	}
	accounts := parsePasswd(passwd)
	if i := slices.IndexFunc(accounts, func(a account) bool { return a.name == name }); i >= 0 {
		found = &accounts[i]
	} else if id, err := parseID(name); err != nil {
		return u, fail.At(where, fmt.Sprintf("user %q is not in the image's /etc/passwd", name))
	} else {
		u.uid = id
		if i := slices.IndexFunc(accounts, func(a account) bool { return a.uid == id }); i >= 0 {
			found = &accounts[i]
		}
	}
	u.home = "/"
	if found != nil {
		u.uid, u.gid = found.uid, found.gid
		if strings.HasPrefix(found.home, "/") {
			u.home = found.home
		}
	}
	known := parseGroup(groups)
	if hasGroup && groupName != "" {
		gid, err := lookGroup(groupName, known)
		if err != nil {
			return u, fail.At(where, err.Error())
		}
		u.gid = gid
		return u, nil
	}
	if found != nil {
		for _, g := range known {
			if g.gid != u.gid && slices.Contains(g.members, found.name) && !slices.Contains(u.groups, g.gid) {
				u.groups = append(u.groups, g.gid)
			}
		}
	}
	return u, nil
}

func lookGroup(name string, known []group) (uint32, error) {
	if i := slices.IndexFunc(known, func(g group) bool { return g.name == name }); i >= 0 {
		return known[i].gid, nil
	}
	id, err := parseID(name)
	if err != nil {
		return 0, fmt.Errorf("group %q is not in the image's /etc/group", name)
	}
	return id, nil
}

// parseID takes the ids that the kernel knows; (uid_t)-1 is none of them.
func parseID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	if err == nil && id == 1<<32-1 {
		err = strconv.ErrRange
	}
	return uint32(id), err
}

// parsePasswd skips lines that are no accounts, as getpwent(3) does.
func parsePasswd(text string) []account {
	var accounts []account
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(f) < 6 || f[0] == "" {
			continue
		}
		uid, err1 := parseID(f[2])
		gid, err2 := parseID(f[3])
		if err1 == nil && err2 == nil {
			accounts = append(accounts, account{f[0], uid, gid, f[5]})
		}
	}
	return accounts
}

func parseGroup(text string) []group {
	var groups []group
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(f) < 4 || f[0] == "" {
			continue
		}
		if gid, err := parseID(f[2]); err == nil {
			groups = append(groups, group{f[0], gid, strings.Split(f[3], ",")})
		}
	}
	return groups
}
