// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	oci "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/cninet"
	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/lxc"
)

// wishes tells whether one of the flags was given that change a config.
func wishes(c *command.Call) bool {
	return slices.ContainsFunc([]string{"arg", "env", "mount", "hostname", "memory", "cpus", "net"}, c.Given)
}

// grant changes a config as the flags of spec ask.
func grant(s *oci.Spec, c *command.Call) error {
	if c.Given("rootfs") {
		s.Root.Path = c.String("rootfs")
	}
	if args := c.Strings("arg"); len(args) > 0 {
		s.Process.Args, s.Process.Terminal = args, false
	}
	if c.Given("hostname") {
		s.Hostname = c.String("hostname")
	}
	for _, text := range c.Strings("env") {
		if err := setEnv(s.Process, text); err != nil {
			return err
		}
	}
	for _, text := range c.Strings("mount") {
		m, err := parseMount(text)
		if err != nil {
			return err
		}
		s.Mounts = append(s.Mounts, m)
	}
	if err := limit(s, c); err != nil {
		return err
	}
	return connect(s, c)
}

// setEnv sets a variable as --env says, in the place of one of that name.
func setEnv(p *oci.Process, text string) error {
	text, err := variable(text)
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(text, "=")
	p.Env = slices.DeleteFunc(p.Env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
	p.Env = append(p.Env, text)
	return nil
}

// variable reads the value of --env: NAME=VALUE, or NAME for the caller's value.
func variable(text string) (string, error) {
	name, _, given := strings.Cut(text, "=")
	if name == "" {
		return "", fail.At("--env", strconv.Quote(text)+" has no name")
	}
	if given {
		return text, nil
	}
	value, ok := os.LookupEnv(name)
	if !ok {
		return "", &fail.Error{Where: "--env", Doing: name + " is not set", Hint: "give it a value: --env " + name + "=VALUE"}
	}
	return name + "=" + value, nil
}

// parseMount reads "SOURCE:TARGET[:OPTION,OPTION]", or docker's
// "type=T,source=S,target=T,OPTION".
func parseMount(text string) (oci.Mount, error) {
	m := oci.Mount{Type: "bind"}
	bad := &fail.Error{Where: "--mount", Doing: strconv.Quote(text) + " names no target",
		Hint: "write SOURCE:TARGET[:OPTIONS] or type=TYPE,source=SOURCE,target=TARGET[,OPTION...]"}
	var options []string
	if first, _, _ := strings.Cut(text, ","); strings.Contains(first, "=") {
		for _, word := range strings.Split(text, ",") {
			switch key, value, _ := strings.Cut(word, "="); key {
			case "type":
				m.Type = value
			case "source", "src":
				m.Source = value
			case "target", "destination", "dst":
				m.Destination = value
			case "readonly":
				options = append(options, "ro")
			default:
				options = append(options, word)
			}
		}
	} else {
		parts := strings.SplitN(text, ":", 3)
		if len(parts) < 2 {
			return m, bad
		}
		m.Source, m.Destination = parts[0], parts[1]
		if len(parts) == 3 {
			options = strings.Split(parts[2], ",")
		}
	}
	if m.Destination == "" || m.Type == "bind" && m.Source == "" {
		return m, bad
	}
	if m.Options = options; m.Type == "bind" {
		source, err := filepath.Abs(m.Source)
		if err != nil {
			return m, &fail.Error{Where: "--mount", Err: err}
		}
		m.Source = source
		if !slices.Contains(options, "bind") && !slices.Contains(options, "rbind") {
			m.Options = append([]string{"rbind"}, options...)
		}
	} else if m.Source == "" {
		m.Source = m.Type
	}
	return m, nil
}

// limit sets --memory and --cpus.
func limit(s *oci.Spec, c *command.Call) error {
	if !c.Given("memory") && !c.Given("cpus") {
		return nil
	}
	if s.Linux.Resources == nil {
		s.Linux.Resources = &oci.LinuxResources{}
	}
	r := s.Linux.Resources
	if c.Given("memory") {
		bytes, err := parseBytes(c.String("memory"))
		if err != nil || bytes == 0 {
			return &fail.Error{Where: "--memory", Doing: strconv.Quote(c.String("memory")) + " is no limit", Hint: "write it as in 64M or 2G"}
		}
		if r.Memory == nil {
			r.Memory = &oci.LinuxMemory{}
		}
		r.Memory.Limit = &bytes
	}
	if c.Given("cpus") {
		n, err := strconv.ParseFloat(c.String("cpus"), 64)
		if err != nil || !(n >= 0.01 && n <= 1e6) {
			return &fail.Error{Where: "--cpus", Doing: strconv.Quote(c.String("cpus")) + " is no number of CPUs", Hint: "write it as in 0.5 or 2"}
		}
		period, quota := uint64(100_000), int64(n*100_000)
		if r.CPU == nil {
			r.CPU = &oci.LinuxCPU{}
		}
		r.CPU.Period, r.CPU.Quota = &period, &quota
	}
	return nil
}

// connect chooses the network: a namespace of its own, the host's, or hooks that
// attach to a network.
func connect(s *oci.Spec, c *command.Call) error {
	switch network := c.String("net"); network {
	case "", "none":
		return nil
	case "host":
		s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n oci.LinuxNamespace) bool { return n.Type == oci.NetworkNamespace })
		return nil
	default:
		program, err := cninet.Find("--net", c.String("cninet"))
		if err != nil {
			return err
		}
		missing, err := cninet.Missing("--net", cninet.ConfDir, network)
		if err != nil {
			return err
		}
		if missing != "" {
			c.Warn("%s", missing)
		}
		lxc.Attach(s, program, "", network, "eth0")
		return nil
	}
}
