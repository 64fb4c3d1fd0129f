// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/profile"
	"github.com/coracle-oci/coracle/internal/sys"
	defaults "github.com/coracle-oci/coracle/specs"
)

// maxProfile bounds the file of a profile; docker's has 20 KiB.
const maxProfile = 4 << 20

// Profile returns the seccomp profile that a word stands for: "default" for ours,
// "unconfined" for none, which is nil; anything else is the path of a file in the
// form of the spec, docker or podman.
func Profile(word string) (*profile.Template, error) {
	switch word {
	case "default":
		return profile.Parse("the default seccomp profile", defaults.Seccomp())
	case "unconfined":
		return nil, nil
	}
	f, err := os.Open(word)
	if err != nil {
		return nil, profileError(word, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxProfile+1))
	if err != nil {
		return nil, profileError(word, err)
	}
	if len(data) > maxProfile {
		return nil, fail.At(word, fmt.Sprintf("is larger than the %d bytes that a seccomp profile may have", maxProfile))
	}
	return profile.Parse(word, data)
}

func profileError(file string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return &fail.Error{Where: file, Doing: "read the seccomp profile", Err: err, Hint: "--seccomp takes a file, default or unconfined"}
}

// setProfile puts a profile into a config, for its capabilities and this machine.
func setProfile(s *specs.Spec, t *profile.Template) error {
	kernel, err := sys.Release()
	if err != nil {
		return &fail.Error{Doing: "ask for the kernel's version", Err: err}
	}
	s.Linux.Seccomp, _, err = t.Resolve(profile.Container{Arch: runtime.GOARCH, Kernel: kernel, Capabilities: s.Process.Capabilities.Bounding})
	s.Version = "1.1.0" // the least that has errnoRet, and so a filter that new libcs work with
	return err
}
