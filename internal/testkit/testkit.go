// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package testkit is what the tests of the three programs share: what a test
// needs of the machine, the programs under test, root file systems and bundles
// made in a moment, and the proof that a test leaves nothing behind.
//
// It tests nothing itself and no program imports it. It uses the real kernel
// and real programs only: there are no stand-ins here.
package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

// Repo returns the absolute path of the working tree: the nearest directory
// above the test's own that has a go.mod.
func Repo(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == "/" {
			t.Fatal("no go.mod above the working directory: run the test from inside the source tree")
		}
	}
}

// BinDir returns the absolute path of the directory of the built programs:
// $CORACLE_BIN, or bin/ of the working tree.
func BinDir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("CORACLE_BIN"); dir != "" {
		return dir
	}
	return filepath.Join(Repo(t), "bin")
}

// Bin returns the absolute path of a built program: "coracle", "cni/bridge".
// That it is not built is a failure, never a skip.
func Bin(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(BinDir(t), name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; build it with: make build", err)
	}
	return path
}
