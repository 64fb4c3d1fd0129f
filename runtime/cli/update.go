// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/container"
)

// A limitFlag is a flag of update and the field of linux.resources that it stands for.
type limitFlag struct {
	name, value, help, field string
	set                      func(r *specs.LinuxResources, text string) error
}

// limitFlags is runc's.
func limitFlags() []limitFlag {
	return []limitFlag{
		{"memory", "BYTES", "limit of memory, such as 512m; -1 is none", "memory.limit", bytesOf(func(r *specs.LinuxResources, n *int64) { r.Memory.Limit = n })},
		{"memory-reservation", "BYTES", "memory that is left to it when it runs short", "memory.reservation", bytesOf(func(r *specs.LinuxResources, n *int64) { r.Memory.Reservation = n })},
		{"memory-swap", "BYTES", "limit of memory and swap together; -1 is none", "memory.swap", bytesOf(func(r *specs.LinuxResources, n *int64) { r.Memory.Swap = n })},
		{"cpu-period", "MICROSECONDS", "period of the quota", "cpu.period", unsigned(func(r *specs.LinuxResources, n *uint64) { r.CPU.Period = n })},
		{"cpu-quota", "MICROSECONDS", "processor time in each period; -1 is no limit", "cpu.quota", signed(func(r *specs.LinuxResources, n *int64) { r.CPU.Quota = n })},
		{"cpu-burst", "MICROSECONDS", "how much of the quota can be saved up", "cpu.burst", unsigned(func(r *specs.LinuxResources, n *uint64) { r.CPU.Burst = n })},
		{"cpu-share", "SHARES", "weight among the cgroups beside it, 2 to 262144", "cpu.shares", unsigned(func(r *specs.LinuxResources, n *uint64) { r.CPU.Shares = n })},
		{"cpu-rt-period", "MICROSECONDS", "period of realtime processes", "cpu.realtimePeriod", unsigned(func(r *specs.LinuxResources, n *uint64) { r.CPU.RealtimePeriod = n })},
		{"cpu-rt-runtime", "MICROSECONDS", "time of realtime processes in each period", "cpu.realtimeRuntime", signed(func(r *specs.LinuxResources, n *int64) { r.CPU.RealtimeRuntime = n })},
		{"cpu-idle", "0|1", "1: run only when nobody else wants to", "cpu.idle", signed(func(r *specs.LinuxResources, n *int64) { r.CPU.Idle = n })},
		{"cpuset-cpus", "LIST", "processors to run on, such as 0-3,7", "cpu.cpus", func(r *specs.LinuxResources, text string) error { r.CPU.Cpus = text; return nil }},
		{"cpuset-mems", "LIST", "memory nodes to use", "cpu.mems", func(r *specs.LinuxResources, text string) error { r.CPU.Mems = text; return nil }},
		{"pids-limit", "N", "limit of processes and threads; -1 is none", "pids.limit", signed(func(r *specs.LinuxResources, n *int64) { r.Pids.Limit = n })},
		{"blkio-weight", "WEIGHT", "weight of input and output, 10 to 1000", "blockIO.weight", unsigned(func(r *specs.LinuxResources, n *uint64) { w := uint16(min(*n, 1<<16-1)); r.BlockIO.Weight = &w })},
	}
}

func signed(set func(*specs.LinuxResources, *int64)) func(*specs.LinuxResources, string) error {
	return func(r *specs.LinuxResources, text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errors.New(strconv.Quote(text) + " is not a whole number")
		}
		set(r, &n)
		return nil
	}
}

func unsigned(set func(*specs.LinuxResources, *uint64)) func(*specs.LinuxResources, string) error {
	return func(r *specs.LinuxResources, text string) error {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return errors.New(strconv.Quote(text) + " is not a whole number of at least 0")
		}
		set(r, &n)
		return nil
	}
}

func bytesOf(set func(*specs.LinuxResources, *int64)) func(*specs.LinuxResources, string) error {
	return func(r *specs.LinuxResources, text string) error {
		n, err := parseBytes(text)
		if err == nil {
			set(r, &n)
		}
		return err
	}
}

// parseBytes reads "-1", "4096", "512m", "1.5 GiB": powers of 1024, as runc does.
func parseBytes(text string) (int64, error) {
	wrong := errors.New(strconv.Quote(text) + " is not a number of bytes, such as 512m, 1.5g or -1")
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n < -1 {
			return 0, wrong
		}
		return n, nil
	}
	number := strings.TrimRight(strings.ToLower(text), "kmgtpib ")
	unit := strings.TrimSpace(strings.ToLower(text[len(number):]))
	factor, ok := map[string]float64{"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}[unit[:min(1, len(unit))]]
	n, err := strconv.ParseFloat(number, 64)
	if rest := unit[min(1, len(unit)):]; !ok || err != nil || n < 0 || n*factor >= 1<<63 || rest != "" && rest != "b" && rest != "ib" || unit == "bb" || unit == "bib" {
		return 0, wrong
	}
	return int64(n * factor), nil
}

func updateVerb() command.Verb {
	flags := []command.Flag{{Names: []string{"resources", "r"}, Value: "FILE", Help: "linux.resources as JSON; - is standard input; the flags for cgroups do not count then"}}
	for _, f := range limitFlags() {
		flags = append(flags, command.Flag{Names: []string{f.name}, Value: f.value, Help: f.help})
	}
	flags = append(flags, command.Flag{Names: []string{"l3-cache-schema"}, Value: "SCHEMA", Help: "part of the level 3 cache, such as L3:0=f; only with linux.intelRdt"},
		command.Flag{Names: []string{"mem-bw-schema"}, Value: "SCHEMA", Help: "bandwidth to memory, such as MB:0=50; only with linux.intelRdt"})
	for _, name := range []string{"kernel-memory", "kernel-memory-tcp"} {
		flags = append(flags, command.Flag{Names: []string{name}, Value: "VALUE", Hidden: true})
	}
	return command.Verb{
		Name: "update", Args: "ID", Min: 1, Max: 1, Flags: flags,
		Summary: "change limits of a container",
		Long: `
What is not given stays as it is; so does what is 0, but for --pids-limit,
--cpu-burst and --cpu-idle. Rules for devices are not changed. All limits are read
back; when one cannot be had, those before it are put back.

examples:
  coracle update --memory 512m --pids-limit 100 web
  echo '{"cpu": {"quota": 50000}}' | coracle update --resources - web

exit status:
  0  the kernel has all of them
  1  it has none: nothing has changed`,
		Run: withStore(runUpdate),
	}
}

func runUpdate(c *command.Call, s container.Store) error {
	for _, name := range []string{"kernel-memory", "kernel-memory-tcp"} {
		if c.Given(name) {
			c.Warn("--%s is ignored: the kernel dropped that limit", name)
		}
	}
	if !slices.ContainsFunc(c.Verb.Flags, func(f command.Flag) bool { return c.Given(f.Names[0]) }) {
		return &fail.Error{Doing: "update: no limit is given", Hint: "name what is to change, as in: coracle update --memory 512m " + c.Args[0]}
	}
	if c.Given("resources") {
		r, err := readResources(c)
		if err != nil {
			return err
		}
		return update(c, s, r, func(field string) string { return "--resources " + field })
	}
	r := &specs.LinuxResources{Memory: &specs.LinuxMemory{}, CPU: &specs.LinuxCPU{}, Pids: &specs.LinuxPids{}, BlockIO: &specs.LinuxBlockIO{}}
	names := map[string]string{}
	for _, f := range limitFlags() {
		names[f.field] = "--" + f.name
		if text := c.String(f.name); text != "" {
			if err := f.set(r, text); err != nil {
				return &fail.Error{Where: "--" + f.name, Err: err}
			}
		}
	}
	return update(c, s, r, func(field string) string { return names[field] })
}

// readResources reads the JSON of --resources.
func readResources(c *command.Call) (*specs.LinuxResources, error) {
	const where, most = "--resources", 1 << 20
	name := c.String("resources")
	in := os.Stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, &fail.Error{Where: where, Doing: "open the file", Err: err}
		}
		defer file.Close()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return nil, &fail.Error{Where: where, Doing: "read " + name, Err: err}
	}
	r, warnings, err := config.ParseResources(data, where)
	for _, w := range warnings {
		c.Warn("%s", w)
	}
	// Engines with a runtime-spec before 1.3 cannot leave the limit out.
	if r != nil && r.Pids != nil && r.Pids.Limit != nil && *r.Pids.Limit == 0 {
		r.Pids = nil
	}
	return r, err
}

// update changes the limits. name says where the value of a field came from: that
// is what an error speaks of, not config.json.
func update(c *command.Call, s container.Store, r *specs.LinuxResources, name func(field string) string) error {
	const prefix = "config.json linux.resources."
	rdt := specs.LinuxIntelRdt{L3CacheSchema: c.String("l3-cache-schema"), MemBwSchema: c.String("mem-bw-schema")}
	err := s.Update(c.Args[0], r, &rdt, func(format string, args ...any) {
		c.Warn("%s", strings.Replace(fmt.Sprintf(format, args...), prefix, "--resources ", 1))
	})
	if e, ok := errors.AsType[*fail.Error](err); ok {
		if field, found := strings.CutPrefix(e.Where, prefix); found && name(field) != "" {
			e.Where = name(field)
		} else if field, found := strings.CutPrefix(e.Where, "config.json linux.intelRdt"); found {
			e.Where = "--mem-bw-schema"
			if field == ".l3CacheSchema" || field == "" && rdt.L3CacheSchema != "" {
				e.Where = "--l3-cache-schema"
			}
		}
	}
	return err
}
