// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// unpack measures a Debian of several layers becoming a bundle, from a layout on
// the same tmpfs, each time in a new directory.
func (b *bench) unpack() error {
	layout, err := b.debian()
	if err != nil {
		return err
	}
	ours, umoci := &contender{name: "imgmgr"}, &contender{name: "umoci"}
	var trees [2][]string
	for round := range 1 + b.runs {
		for i, c := range []*contender{ours, umoci} {
			bundle := filepath.Join(b.dir, c.name)
			command := exec.Command("umoci", "unpack", "--image", layout+":debian", bundle)
			if c == ours {
				command = exec.Command(filepath.Join(b.bin, "imgmgr"), "unpack", "oci:"+layout+":debian", bundle)
			}
			s, err := timed(command)
			if err != nil {
				return err
			}
			if round == 0 { // the warm-up shows that both do the same
				trees[i], err = list(filepath.Join(bundle, "rootfs"))
			} else {
				c.samples = append(c.samples, s)
			}
			if removeErr := os.RemoveAll(bundle); removeErr != nil || err != nil {
				return fmt.Errorf("%v %v", err, removeErr)
			}
		}
		if round == 0 {
			if err := same(trees[0], trees[1]); err != nil {
				return err
			}
		}
	}
	what := fmt.Sprintf("unpack of a Debian of 6 layers, %d files", len(trees[0]))
	b.compare(what, (*contender).walls, ours, rival{umoci, 0.5})
	b.compare(what+", processor time", (*contender).cpus, ours, rival{umoci, 0.5})
	b.peaks(what+", peak memory", ours, umoci)
	return nil
}

// peaks adds the highest resident memory of all runs, for which there is no target.
func (b *bench) peaks(what string, all ...*contender) {
	for _, c := range all {
		peak := slices.MaxFunc(c.samples, func(a, b sample) int { return int(a.peak - b.peak) }).peak
		b.results = append(b.results, result{what: what, program: c.name, value: fmt.Sprintf("%d MiB", peak>>10)})
	}
}

// debian returns the path of a layout on the section's tmpfs. Making it takes
// minutes and the network, so it is kept in the temporary directory of the
// machine, as the image of tests/vm is.
func (b *bench) debian() (string, error) {
	kept := filepath.Join(os.TempDir(), "coracle-bench-image")
	if _, err := os.Stat(kept + "/layout"); err != nil {
		fmt.Fprintln(os.Stderr, "bench: making the image, once, in", kept)
		work, err := os.MkdirTemp(b.dir, "image-")
		if err != nil {
			return "", err
		}
		started := time.Now()
		out, err := exec.Command("tests/bench/image.sh", work).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("image.sh: %w: %s", err, tail(string(out)))
		}
		fmt.Fprintf(os.Stderr, "bench: made in %s\n", time.Since(started).Round(time.Second))
		// A copy that breaks off must not be taken for the image next time.
		half := kept + ".half"
		if out, err := exec.Command("sh", "-ec", `rm -rf "$2"; cp -a "$1" "$2"; rm -rf "$1"`, "keep", work, half).CombinedOutput(); err != nil {
			return "", fmt.Errorf("keep the image: %w: %s", err, out)
		}
		if err := os.Rename(half, kept); err != nil {
			return "", err
		}
	}
	layout := filepath.Join(b.dir, "layout")
	if out, err := exec.Command("cp", "-a", kept+"/layout", layout).CombinedOutput(); err != nil {
		return "", fmt.Errorf("copy the image: %w: %s", err, out)
	}
	return layout, nil
}

// list returns a line for each file below root: name, type and mode, owner, size
// or target, and time of its last change, sorted by name.
func list(root string) ([]string, error) {
	var lines []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		detail := fmt.Sprintf("%d bytes", info.Size())
		switch info.Mode().Type() {
		case fs.ModeDir:
			detail = ""
		case fs.ModeSymlink:
			detail, err = os.Readlink(path)
		}
		lines = append(lines, fmt.Sprintf("%s %v %d:%d %s %d",
			strings.TrimPrefix(path, root), info.Mode(), stat.Uid, stat.Gid, detail, info.ModTime().UnixNano()))
		return err
	})
	return lines, err
}

// same returns an error that names the first difference of two listings.
func same(ours, theirs []string) error {
	for i := range max(len(ours), len(theirs)) {
		if i >= len(ours) || i >= len(theirs) || ours[i] != theirs[i] {
			return fmt.Errorf("the trees differ: imgmgr %q, umoci %q",
				ours[min(i, len(ours)):min(i+1, len(ours))], theirs[min(i, len(theirs)):min(i+1, len(theirs))])
		}
	}
	return nil
}

func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
