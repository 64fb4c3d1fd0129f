// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package unit compiles linux.cgroupsPath, linux.resources and annotations to the
// transient scope that systemd is asked for: its name, its slice, and properties.
//
// It touches nothing. Package systemd sends the request, "coracle plan" prints it.
// Limits are set twice: as properties, so that systemd knows them and keeps them
// when it reloads, and exactly, by package resources, in the files.
package unit

import (
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/dbus"
	"github.com/coracle-oci/coracle/runtime/facts"
)

// A Unit is the scope of one container.
type Unit struct {
	Name       string // "docker-c1.scope"
	User       bool   // of the systemd of the user
	Path       string // its directory from the root of the hierarchies: "/system.slice/docker-c1.scope"
	Subgroup   string // the cgroup in it that the container gets; "": the scope itself
	Delegate   string // the cgroup in that one which its processes are moved to in the end; "": none
	Properties []Property
}

// A Property is one property of a unit, systemd.scope(5).
type Property struct {
	Name  string
	Value dbus.Variant
	From  string // the field that asked for it, or for a unit at all
}

// String is the property as the plan prints it: "MemoryMax=uint64 33554432".
func (p Property) String() string { return p.Name + "=" + p.Value.String() }

const (
	configFile = "config.json "
	fromPath   = "linux.cgroupsPath"
)

// A Request is what a unit is made of.
type Request struct {
	ID          string
	CgroupsPath string // slice:prefix:name
	Annotations map[string]string
	Resources   *specs.LinuxResources
	Cgroup      facts.Cgroup
	Systemd     facts.Systemd
}

// Compile returns the unit, or a *fail.Error that names the field. The values of
// the resources must be in order; package resources judges them.
func Compile(r Request) (Unit, error) {
	slice, name, err := names(r)
	if err != nil {
		return Unit{}, err
	}
	path, err := slicePath(slice)
	if err != nil {
		return Unit{}, err
	}
	u := Unit{Name: name, User: r.Systemd.User, Path: strings.TrimSuffix(r.Systemd.ControlGroup, "/") + path + "/" + name}
	u.add(fromPath, "Description", dbus.String("container "+r.ID))
	u.add(fromPath, "Slice", dbus.String(slice))
	u.add(fromPath, "Delegate", dbus.Bool(true)) // the files below are ours
	u.add(fromPath, "DefaultDependencies", dbus.Bool(false))
	u.add(fromPath, "CollectMode", dbus.String("inactive-or-failed")) // nothing is left of one that failed
	for _, controller := range []string{"CPU", "IO", "Memory", "Tasks"} {
		u.add(fromPath, controller+"Accounting", dbus.Bool(true))
	}
	if r.Resources != nil {
		u.limits(r.Resources)
		u.unified(r.Resources.Unified)
	}
	if devicesOnV1(r.Cgroup) {
		u.devices(r)
	}
	if err := u.subgroups(r); err != nil {
		return Unit{}, err
	}
	return u, u.annotations(r.Annotations)
}

func (u *Unit) add(from, name string, value dbus.Variant) {
	u.Properties = append(u.Properties, Property{name, value, from})
}

// names takes slice:prefix:name apart; without one it is the container's id in the
// slice of the system, or of the user.
func names(r Request) (slice, name string, err error) {
	prefix, name := "coracle", r.ID
	if r.CgroupsPath != "" {
		parts := strings.Split(r.CgroupsPath, ":")
		if len(parts) != 3 {
			return "", "", &fail.Error{Where: configFile + fromPath, Doing: "is " + strconv.Quote(r.CgroupsPath) + ", which is not slice:prefix:name, as systemd needs it",
				Hint: `write it as in "system.slice:coracle:` + r.ID + `", or leave out --systemd-cgroup`}
		}
		slice, prefix, name = parts[0], parts[1], parts[2]
	}
	if slice == "" {
		slice = "system.slice"
		if r.Systemd.User {
			slice = "user.slice"
		}
	}
	if strings.HasSuffix(name, ".slice") {
		return "", "", invalid(fromPath, "names the slice "+name+"; the processes of a container need a scope")
	}
	if prefix != "" {
		name = prefix + "-" + name
	}
	name += ".scope"
	const longest = 255 // UNIT_NAME_MAX
	if bad := strings.Trim(name, unitCharacters); bad != "" || len(name) > longest || name == ".scope" {
		return "", "", &fail.Error{Where: configFile + fromPath, Doing: "makes the unit's name " + strconv.Quote(name) + ", which systemd cannot have",
			Hint: `up to 255 letters, digits and ":", "-", "_", ".", "\", "@" make a name: systemd.unit(5)`}
	}
	return slice, name, nil
}

// unitCharacters are those of systemd.unit(5), "Description".
const unitCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"

// slicePath returns the directory of a slice: each dash goes one level down, so
// a-b.slice is /a.slice/a-b.slice: systemd.slice(5).
func slicePath(slice string) (string, error) {
	name, ok := strings.CutSuffix(slice, ".slice")
	if slice == "-.slice" {
		return "", nil
	}
	parts := strings.Split(name, "-")
	if !ok || slices.Contains(parts, "") || strings.Trim(name, unitCharacters) != "" {
		return "", &fail.Error{Where: configFile + fromPath, Doing: "names " + strconv.Quote(slice) + ", which is no slice",
			Hint: `a slice is called as in "system.slice" or "machine-vms.slice", and "-.slice" is the root of all: systemd.slice(5)`}
	}
	path := ""
	for i := range parts {
		path += "/" + strings.Join(parts[:i+1], "-") + ".slice"
	}
	return path, nil
}

// subgroups reads crun's annotations that place the container below its scope.
func (u *Unit) subgroups(r Request) error {
	for _, a := range []struct {
		key  string
		name *string
	}{{"run.oci.systemd.subgroup", &u.Subgroup}, {"run.oci.delegate-cgroup", &u.Delegate}} {
		value := r.Annotations[a.key]
		if strings.ContainsAny(value, "/\n\x00") || value == "." || value == ".." {
			return invalid(annotation(a.key), "is "+strconv.Quote(value)+", which is not the name of one cgroup")
		}
		*a.name = value
	}
	if u.Delegate != "" && len(r.Cgroup.V1) > 0 {
		return &fail.Error{Where: configFile + annotation("run.oci.delegate-cgroup"), Doing: "needs cgroup v2 alone: it is not safe to delegate a cgroup of version 1"}
	}
	return nil
}

func annotation(key string) string { return "annotations[" + strconv.Quote(key) + "]" }

func invalid(from, what string) error { return fail.At(configFile+from, what) }
