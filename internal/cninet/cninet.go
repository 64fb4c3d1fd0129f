// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package cninet finds out, when a bundle is made, whether its hooks will find what
// they need to attach the container to a network: the program cninet, and the
// network's configuration. It runs nothing. The makers of bundles call it.
package cninet

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
)

// ConfDir is where everybody keeps the configuration of networks.
const ConfDir = "/etc/cni/net.d"

// Find returns the absolute path of cninet: that of --cninet, or else the one beside
// this program. flag is the one that asks for a network.
func Find(flag, path string) (string, error) {
	const hint = "name the cninet program with --cninet"
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return "", &fail.Error{Where: flag, Doing: "find cninet", Err: err, Hint: hint}
		}
		path = filepath.Join(filepath.Dir(self), "cninet")
	}
	path, err := filepath.Abs(path)
	if err == nil {
		var info os.FileInfo
		if info, err = os.Stat(path); err == nil && (!info.Mode().IsRegular() || info.Mode()&0o111 == 0) {
			err = &os.PathError{Op: "execute", Path: path, Err: syscall.EACCES}
		}
	}
	if err != nil {
		return "", &fail.Error{Where: flag, Doing: "find cninet", Err: err, Hint: hint}
	}
	return path, nil
}

// isName tells whether a network can be called so (CNI's SPEC.md, "Network
// configuration format").
func isName(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("_.-", r)) {
			return false
		}
	}
	return s != ""
}

// Missing says that no network of a name is configured in dir, and what to do about
// it; "" if one is, or nobody can tell. Only what can be no network's name is an error:
// a network is not needed before the container starts.
func Missing(flag, dir, network string) (string, error) {
	if !isName(network) {
		return "", fail.At(flag, strconv.Quote(network)+" is no name of a CNI network")
	}
	files, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return "", nil
	}
	var names []string
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".conflist") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return "", nil
		}
		var list struct{ Name string }
		if json.Unmarshal(text, &list) == nil {
			if list.Name == network {
				return "", nil
			}
			names = append(names, list.Name)
		}
	}
	hint := fail.Nearest(network, names)
	if hint == "" {
		hint = "make it before the container starts: cninet create " + network + " --subnet CIDR"
	}
	return flag + ": there is no network " + network + " in " + dir + " yet; " + hint, nil
}
