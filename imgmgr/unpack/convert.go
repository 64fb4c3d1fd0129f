// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/profile"
)

// Config says what a person wants of a container beside what the image says.
type Config struct {
	Args     []string // instead of the image's Cmd
	Env      []string // NAME=VALUE, over the image's
	Hostname string
	Terminal bool
	ReadOnly bool
	Memory   int64             // limit in bytes; 0 for none
	Pids     int64             // limit; 0 for none
	Network  string            // "" or "none": alone; "host"; else a network that Cninet attaches
	Cninet   string            // absolute path of cninet
	Seccomp  *profile.Template // nil for none
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// convert makes config.json of an image's config, as image-spec's conversion.md
// says. What the image leaves open is as Docker has it. It touches nothing; the
// seccomp profile is for [setProfile].
func convert(image v1.Image, u user, c Config, warn func(string)) (*specs.Spec, error) {
	args := slices.Concat(image.Config.Entrypoint, image.Config.Cmd)
	if len(c.Args) > 0 {
		args = slices.Concat(image.Config.Entrypoint, c.Args)
	}
	if len(args) == 0 {
		args = []string{"sh"}
		warn("the image names no command: process.args is sh")
	}
	env, err := environment(image.Config.Env, u, c)
	if err != nil {
		return nil, err
	}
	for _, s := range slices.Concat(args, []string{image.Config.WorkingDir}) {
		if strings.IndexByte(s, 0) >= 0 {
			return nil, fail.At("config config", fmt.Sprintf("%.40q holds a NUL", s))
		}
	}
	s := &specs.Spec{
		Version: "1.0.2", // the least that has all that is used: older runtimes take it
		Process: &specs.Process{
			Terminal: c.Terminal, Args: args, Env: env,
			User:         specs.User{UID: u.uid, GID: u.gid, AdditionalGids: u.groups},
			Cwd:          path.Clean("/" + image.Config.WorkingDir),
			Capabilities: &specs.LinuxCapabilities{Bounding: capabilities, Effective: capabilities, Permitted: capabilities},
		},
		Root:        &specs.Root{Path: "rootfs", Readonly: c.ReadOnly},
		Hostname:    c.Hostname,
		Mounts:      append(mounts(), volumes(image.Config.Volumes, warn)...),
		Annotations: annotations(image),
		Linux:       linux(c),
	}
	if c.Network != "" && c.Network != "none" && c.Network != "host" {
		s.Hooks = &specs.Hooks{
			CreateRuntime: []specs.Hook{{Path: c.Cninet, Args: []string{"cninet", "attach", c.Network}}},
			Poststop:      []specs.Hook{{Path: c.Cninet, Args: []string{"cninet", "detach", c.Network}}},
		}
	}
	return s, nil
}

// environment joins variables; the last of a name counts, in its first place.
func environment(image []string, u user, c Config) ([]string, error) {
	env := []string{defaultPath, "HOME=" + u.home}
	if c.Terminal {
		env = append(env, "TERM=xterm")
	}
	for _, v := range slices.Concat(image, c.Env) {
		name, _, ok := strings.Cut(v, "=")
		if !ok || name == "" || strings.IndexByte(v, 0) >= 0 {
			return nil, fail.At("config config.Env", fmt.Sprintf("%.40q is not NAME=VALUE", v))
		}
		if i := slices.IndexFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") }); i >= 0 {
			env[i] = v
		} else {
			env = append(env, v)
		}
	}
	return env, nil
}

// annotations are those of conversion.md; the image's labels win over them.
func annotations(image v1.Image) map[string]string {
	a := map[string]string{
		"org.opencontainers.image.os":           image.OS,
		"org.opencontainers.image.architecture": image.Architecture,
		"org.opencontainers.image.variant":      image.Variant,
		"org.opencontainers.image.os.version":   image.OSVersion,
		"org.opencontainers.image.os.features":  strings.Join(image.OSFeatures, ","),
		"org.opencontainers.image.author":       image.Author,
		"org.opencontainers.image.stopSignal":   image.Config.StopSignal,
		"org.opencontainers.image.exposedPorts": strings.Join(slices.Sorted(maps.Keys(image.Config.ExposedPorts)), ","),
	}
	if image.Created != nil {
		a["org.opencontainers.image.created"] = image.Created.UTC().Format(time.RFC3339Nano)
	}
	maps.DeleteFunc(a, func(_, value string) bool { return value == "" })
	maps.Copy(a, image.Config.Labels)
	return a
}

// volumes gives each volume of the image an empty tmpfs, so that what the
// program keeps there is not written into the rootfs.
func volumes(v map[string]struct{}, warn func(string)) []specs.Mount {
	var m []specs.Mount
	for _, name := range slices.Sorted(maps.Keys(v)) {
		destination := path.Clean("/" + name)
		top, _, _ := strings.Cut(destination[1:], "/")
		if destination == "/" || top == "proc" || top == "sys" || top == "dev" || strings.IndexByte(name, 0) >= 0 {
			warn(fmt.Sprintf("volume %q of the image is left out", name))
			continue
		}
		m = append(m, specs.Mount{Destination: destination, Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev"}})
	}
	return m
}
