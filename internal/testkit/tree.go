// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package testkit

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// SameTree fails the test at the first differences of two trees, in anything
// that [Tree] tells about their files.
func SameTree(t testing.TB, have, want string) {
	t.Helper()
	a, b := Tree(t, have), Tree(t, want)
	if len(b) < 2 {
		t.Fatalf("%s is empty: nothing is compared", want)
	}
	for differences := 0; differences < 5 && (len(a) > 0 || len(b) > 0); {
		switch {
		case len(a) > 0 && len(b) > 0 && a[0] == b[0]:
			a, b = a[1:], b[1:]
			continue
		// The names are the lines' first words: the smaller one lacks its partner.
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			t.Errorf("only %s has\n\t%s", have, a[0])
			a = a[1:]
		default:
			t.Errorf("only %s has\n\t%s", want, b[0])
			b = b[1:]
		}
		differences++
	}
}

// Tree describes each file below root in one line, sorted: quoted name, type and
// mode in octal, owner, time of the last change in nanoseconds, then size and
// digest of the content, target of the link or number of the device, the first
// name of a file with several, and the extended attributes.
func Tree(t testing.TB, root string) []string {
	t.Helper()
	var lines []string
	first := map[uint64]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		line, err := describe(path, name, first)
		lines = append(lines, line)
		return err
	})
	check(t, err)
	slices.Sort(lines)
	return lines
}

func describe(path, name string, first map[uint64]string) (string, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return "", &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	line := fmt.Sprintf("%q %o %d:%d %d.%09d", name, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		digest, err := digestOf(path)
		if err != nil {
			return "", err
		}
		line += fmt.Sprintf(" %d bytes %x", st.Size, digest)
	case syscall.S_IFLNK:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		line += " -> " + target
	case syscall.S_IFCHR, syscall.S_IFBLK:
		line += fmt.Sprintf(" device %#x", st.Rdev)
	}
	if st.Nlink > 1 && st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		if first[st.Ino] == "" {
			first[st.Ino] = name
		}
		line += fmt.Sprintf(" one of %d, first %q", st.Nlink, first[st.Ino])
	}
	attributes, err := xattrs(path, st.Mode)
	return line + attributes, err
}

func digestOf(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return hash.Sum(nil), err
}

// xattrs returns the extended attributes of a file or directory, sorted. Package
// syscall follows symbolic links, and user attributes are not allowed on devices
// and links anyway (xattr(7)): those are left out.
func xattrs(path string, mode uint32) (string, error) {
	if kind := mode & syscall.S_IFMT; kind != syscall.S_IFREG && kind != syscall.S_IFDIR {
		return "", nil
	}
	buffer := make([]byte, 64<<10)
	n, err := syscall.Listxattr(path, buffer)
	if err == syscall.EOPNOTSUPP {
		return "", nil
	} else if err != nil {
		return "", &fs.PathError{Op: "listxattr", Path: path, Err: err}
	}
	names := strings.FieldsFunc(string(buffer[:n]), func(r rune) bool { return r == 0 })
	slices.Sort(names)
	var all string
	for _, name := range names {
		n, err := syscall.Getxattr(path, name, buffer)
		if err != nil {
			return "", &fs.PathError{Op: "getxattr " + name, Path: path, Err: err}
		}
		all += fmt.Sprintf(" %s=%q", name, buffer[:n])
	}
	return all, nil
}
