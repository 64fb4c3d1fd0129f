// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/profile"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/seccomp"
)

func seccompVerb() command.Verb {
	return command.Verb{
		Name:    "seccomp",
		Summary: "explain, compile and record seccomp profiles",
		Long: `
A profile is what config.json has under linux.seccomp, alone in a file, or what
docker and podman take with --security-opt seccomp=FILE. Where a PROFILE is asked
for, it may also be a config.json, a bundle's directory, or - for standard input.
Root is not needed, but for record as for run.`,
		Verbs: []command.Maker{
			{Name: "explain", Make: seccompExplainVerb},
			{Name: "compile", Make: seccompCompileVerb},
			{Name: "record", Make: seccompRecordVerb},
		},
	}
}

func capFlag() command.Flag {
	return command.Flag{Names: []string{"cap"}, Value: "CAPABILITY", Repeat: true, Help: "the container has this capability: rules of docker's form may ask for it"}
}

// A profileFile is what PROFILE names, before a machine is known.
type profileFile struct {
	name     string
	config   *config.Config // if it is one
	template *profile.Template
	caps     []string
}

// readProfile reads what the first operand names.
func readProfile(c *command.Call) (*profileFile, error) {
	f := &profileFile{name: c.Args[0]}
	for _, name := range c.Strings("cap") {
		name = strings.ToUpper(name)
		if !strings.HasPrefix(name, "CAP_") {
			name = "CAP_" + name
		}
		if _, known := config.CapabilityNumber(name); !known {
			return nil, &fail.Error{Where: "--cap", Doing: "unknown capability " + strconv.Quote(name), Hint: fail.Nearest(name, config.Capabilities())}
		}
		f.caps = append(f.caps, name)
	}
	data, err := f.read()
	if err != nil {
		return nil, &fail.Error{Doing: "read the profile", Err: err}
	}
	if !isConfig(data) {
		f.template, err = profile.Parse(f.name, data)
		return f, err
	}
	f.config, err = config.Parse(data)
	if err == nil && (f.config.Linux == nil || f.config.Linux.Seccomp == nil) {
		err = &fail.Error{Where: config.Name + " linux.seccomp", Doing: "is missing", Hint: "without it, every call is allowed"}
	}
	return f, err
}

func (f *profileFile) read() ([]byte, error) {
	if f.name == "-" {
		f.name = "standard input"
		return io.ReadAll(os.Stdin)
	}
	if info, err := os.Stat(f.name); err == nil && info.IsDir() {
		f.name = filepath.Join(f.name, config.Name)
	}
	return os.ReadFile(f.name)
}

// isConfig tells a config.json, which must have a version, from a profile.
func isConfig(data []byte) bool {
	var c struct {
		Version json.RawMessage `json:"ociVersion"`
	}
	return json.Unmarshal(data, &c) == nil && c.Version != nil
}

// A knownProfile is the profile as it is for one machine.
type knownProfile struct {
	*seccomp.Profile
	where  string // what errors call it
	prefix string // of its paths
	agent  string
	from   []int // where the rules stand in the file; nil: where they are
}

// on returns the profile for a Go port's machine.
func (f *profileFile) on(goarch string) (*knownProfile, error) {
	p := &knownProfile{where: config.Name + " linux.seccomp", prefix: "linux.seccomp."}
	var s *specs.LinuxSeccomp
	if f.config != nil {
		s = f.config.Linux.Seccomp
	} else {
		kernel, err := sys.Release()
		if err == nil {
			s, p.from, err = f.template.Resolve(profile.Container{Arch: goarch, Kernel: kernel, Capabilities: f.caps})
		}
		if err != nil {
			return nil, err
		}
		p.where, p.prefix = f.name, ""
	}
	var err error
	p.agent = s.ListenerPath
	p.Profile, err = seccomp.Parse(s, goarch, p.where)
	return p, err
}

// rule is the path of a rule.
func (p *knownProfile) rule(i int) string {
	if p.from != nil {
		i = p.from[i]
	}
	return p.prefix + "syscalls[" + strconv.Itoa(i) + "]"
}

func archFlag(help string) command.Flag {
	return command.Flag{Names: []string{"arch", "a"}, Value: "ARCH", Words: profile.Architectures(), Help: help}
}

// parseArch finds an architecture by the spec's name, with its prefix or without,
// or by Go's.
func parseArch(text string) (*seccomp.Arch, error) {
	name := strings.ToUpper(text)
	if a := seccomp.Native(text); a != nil {
		return a, nil
	}
	if !strings.HasPrefix(name, "SCMP_ARCH_") {
		name = "SCMP_ARCH_" + name
	}
	a := seccomp.FindArch(name)
	if a == nil {
		return nil, &fail.Error{Where: "--arch", Doing: "unknown architecture " + strconv.Quote(text), Hint: fail.Nearest(name, profile.Architectures())}
	}
	return a, nil
}

// portOf is the Go port of a machine that runs programs of an architecture: ours,
// if that is none of those that have containers of coracle's.
func portOf(a *seccomp.Arch) string {
	switch a.Name {
	case "SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32":
		return "amd64"
	case "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64":
		return "arm64"
	}
	return runtime.GOARCH
}
