// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package images_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// listing describes every file of a tree completely: name, type and mode, owner,
// nanosecond time, device, target or content, hard links, extended attributes.
func listing(t testing.TB, root string) []string {
	t.Helper()
	var lines []string
	first := map[uint64]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		line := fmt.Sprintf("%q %o %d:%d %d.%09d", name, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			sum, err := hash(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d %x", st.Size, sum)
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		case unix.S_IFCHR, unix.S_IFBLK:
			line += fmt.Sprintf(" %d,%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		}
		if !d.IsDir() && st.Nlink > 1 {
			if first[st.Ino] == "" {
				first[st.Ino] = name
			}
			line += fmt.Sprintf(" links %d as %q", st.Nlink, first[st.Ino])
		}
		set, err := attributes(path)
		lines = append(lines, line+set)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func hash(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return h.Sum(nil), err
}

func attributes(path string) (string, error) {
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, list)
	if err == unix.EOPNOTSUPP {
		return "", nil
	} else if err != nil {
		return "", err
	}
	names := strings.FieldsFunc(string(list[:n]), func(r rune) bool { return r == 0 })
	slices.Sort(names)
	var out string
	for _, name := range names {
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return "", err
		}
		out += fmt.Sprintf(" %s=%q", name, value[:n])
	}
	return out, nil
}

// sameTree fails the test at the first differences of two trees.
func sameTree(t testing.TB, have, want string) {
	t.Helper()
	a, b := listing(t, have), listing(t, want)
	differences := 0
	for i := range max(len(a), len(b)) {
		x, y := "nothing", "nothing"
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			t.Errorf("%s has\n\t%s\n%s has\n\t%s", have, x, want, y)
			if differences++; differences == 5 {
				t.FailNow()
			}
		}
	}
	if len(a) < 2 {
		t.Errorf("%s is empty", have)
	}
}

// imgmgr runs the program with a store of its own, and returns standard output.
func imgmgr(t testing.TB, store string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	c := exec.Command(testkit.Bin(t, "imgmgr"), append([]string{"--store", store}, args...)...)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	err = c.Run()
	return o.String(), e.String(), err
}

// must runs imgmgr and returns the last line of its answer.
func must(t testing.TB, store string, args ...string) string {
	t.Helper()
	o, e, err := imgmgr(t, store, args...)
	if err != nil {
		t.Fatalf("imgmgr %s: %v\n%s", strings.Join(args, " "), err, e)
	}
	lines := strings.Split(strings.TrimSpace(o), "\n")
	return lines[len(lines)-1]
}

// onlyThese fails the test if a directory has other names than these in it.
func onlyThese(t testing.TB, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	slices.Sort(names)
	if !slices.Equal(have, names) {
		t.Fatalf("%s has %q, want %q", dir, have, names)
	}
}

// oddities puts into a directory what images have rarely and tools get wrong.
func oddities(t testing.TB, dir string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, name) }
	steps := []func() error{
		func() error {
			return os.MkdirAll(at("deep/"+strings.Repeat("x", 255)+"/"+strings.Repeat("y", 255)+"/z"), 0o755)
		},
		func() error { return os.WriteFile(at("file"), []byte("content\n"), 0o644) },
		func() error { return os.Link(at("file"), at("deep/link")) },
		func() error { return os.Symlink("/nowhere/"+strings.Repeat("t", 600), at("dangling")) },
		func() error { return os.Link(at("dangling"), at("dangling2")) },
		func() error { return os.Symlink("loop", at("loop")) },
		func() error { return os.WriteFile(at("setuid"), []byte("#!"), 0o755) },
		func() error { return os.Chown(at("setuid"), 1234, 4321) },
		func() error { return syscall.Chmod(at("setuid"), 0o6755) },
		func() error { return os.WriteFile(at("capable"), []byte("x"), 0o755) },
		func() error {
			return unix.Lsetxattr(at("capable"), "security.capability", []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0)
		},
		func() error { return unix.Lsetxattr(at("file"), "trusted.binary", []byte("a\x00b\n=c\xff"), 0) },
		func() error { return unix.Lsetxattr(at("deep"), "trusted.empty", nil, 0) },
		func() error { return unix.Lsetxattr(at("dangling"), "trusted.onlink", []byte("v"), 0) },
		func() error { return os.MkdirAll(at("closed/in"), 0o755) },
		func() error { return os.Chmod(at("closed"), 0) },
		func() error { return os.Mkdir(at("sticky"), 0o755) },
		func() error { return syscall.Chmod(at("sticky"), 0o3777) },
		func() error { return os.Mkdir(at("sticky/inherits"), 0o755) },
		func() error { return syscall.Chmod(at("sticky/inherits"), 0o755) },
		func() error { return unix.Mknod(at("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))) },
		func() error { return unix.Mknod(at("disk"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70000))) },
		func() error { return unix.Mkfifo(at("fifo"), 0o620) },
		func() error { return os.WriteFile(at("Latin-\xe9 \n\t\\ ..dots"), nil, 0o600) },
		func() error { return os.WriteFile(at("\u00e9"), []byte("NFC"), 0o600) },
		func() error { return os.WriteFile(at("e\u0301"), []byte("NFD"), 0o600) },
		func() error { return os.WriteFile(at("biguid"), nil, 0o600) },
		func() error { return os.Chown(at("biguid"), 1<<32-2, 1<<32-2) },
		func() error { return sparse(at("sparse")) },
		func() error { return setTime(at("old"), -12345, 678) },
		func() error { return setTime(at("future"), 4102444800, 1) },
		func() error { return setTime(at("epoch"), 0, 0) },
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("oddity %d: %v", i, err)
		}
	}
}

func sparse(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("far"), 8<<20); err != nil {
		return err
	}
	return f.Truncate(16 << 20)
}

func setTime(path string, sec, nsec int64) error {
	if err := os.WriteFile(path, []byte("t"), 0o644); err != nil {
		return err
	}
	ts := []unix.Timespec{{Sec: sec, Nsec: nsec}, {Sec: sec, Nsec: nsec}}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, ts, 0)
}
