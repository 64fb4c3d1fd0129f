// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package plugin is the CNI protocol as data: environment and standard input
// become a typed [Request], a [Result] becomes JSON of any version, and errors
// carry the codes of the specification. It reads and writes nothing itself;
// package run does. The plugins are its callers.
//
// Specification: https://www.cni.dev/docs/spec/ (1.1.0), sections 2 and 5.
package plugin

import (
	"net/netip"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
)

// The commands of the protocol.
const (
	Add     = "ADD"
	Del     = "DEL"
	Check   = "CHECK"
	GC      = "GC"
	Status  = "STATUS"
	Version = "VERSION"
)

// A Request is one call of a plugin, checked as far as the protocol goes.
type Request struct {
	Command     string
	ContainerID string
	Netns       string // path; may be empty for DEL
	Ifname      string
	Args        map[string]string // CNI_ARGS
	Path        []string          // CNI_PATH
	Conf        Conf
	Stdin       []byte // the whole configuration, for delegates and for what Conf leaves out
}

// Conf is what all plugins have in common in their configuration.
type Conf struct {
	CNIVersion       string
	Name             string
	IPAM             []byte // JSON of the plugin that ipam.type names; nil: none
	DNS              DNS
	RuntimeConfig    RuntimeConfig
	Args             ConfArgs
	PrevResult       []byte       // JSON for [ParseResult]; nil: none
	ValidAttachments []Attachment // "cni.dev/valid-attachments"
}

// RuntimeConfig is the capability arguments that some plugin here knows.
type RuntimeConfig struct {
	MAC      string
	IPs      []string
	IPRanges []byte // JSON of the form of host-local's ranges; nil: none
}

// ConfArgs is the older way of giving arguments, "args.cni" in CONVENTIONS.md.
type ConfArgs struct {
	MAC string
	IPs []string
}

// An Attachment is an interface of a container that GC must keep.
type Attachment struct {
	ContainerID string
	Ifname      string
}

// maxName bounds network names and container ids: both become parts of file
// names and of tags that the kernel keeps.
const maxName = 200

// Parse checks a call before anything happens. env looks up a variable of the
// environment and returns "" for one that is not set.
func Parse(env func(string) string, stdin []byte) (*Request, error) {
	r := &Request{
		Command: env("CNI_COMMAND"), ContainerID: env("CNI_CONTAINERID"), Netns: env("CNI_NETNS"), Ifname: env("CNI_IFNAME"),
		Path: splitPath(env("CNI_PATH")), Stdin: stdin,
	}
	if r.Command == "" {
		return r, environment("CNI_COMMAND", "is not set")
	}
	if err := r.parseConf(); err != nil {
		return r, err
	}
	if r.Command == Version {
		return r, nil
	}
	if err := r.checkEnvironment(); err != nil {
		return r, err
	}
	args, err := parseArgs(env("CNI_ARGS"))
	if err != nil {
		return r, err
	}
	r.Args = args
	if err := r.checkVersion(); err != nil {
		return r, err
	}
	return r, r.checkName()
}

func (r *Request) parseConf() error {
	if r.Command == Version && len(r.Stdin) == 0 {
		return nil // older runtimes send nothing
	}
	return Read(stdin, r.Stdin, func(j *Reader) { j.Object(func(name string) { r.Conf.field(j, name) }) })
}

func (c *Conf) field(j *Reader, name string) {
	switch name {
	case "cniversion":
		j.String(&c.CNIVersion)
	case "name":
		j.String(&c.Name)
	case "ipam":
		j.Raw(&c.IPAM)
	case "dns":
		c.DNS.read(j)
	case "runtimeconfig":
		c.RuntimeConfig.read(j)
	case "args":
		c.Args.read(j)
	case "prevresult":
		j.Raw(&c.PrevResult)
	case "cni.dev/valid-attachments":
		c.ValidAttachments = nil
		j.Array(func() { c.ValidAttachments = append(c.ValidAttachments, readAttachment(j)) })
	default:
		j.Skip() // the plugin's own
	}
}

func (c *RuntimeConfig) read(j *Reader) {
	j.Object(func(name string) {
		switch name {
		case "mac":
			j.String(&c.MAC)
		case "ips":
			j.Strings(&c.IPs)
		case "ipranges":
			j.Raw(&c.IPRanges)
		default:
			j.Skip()
		}
	})
}

func (a *ConfArgs) read(j *Reader) {
	j.Object(func(name string) {
		if name != "cni" {
			j.Skip()
			return
		}
		j.Object(func(name string) {
			switch name {
			case "mac":
				j.String(&a.MAC)
			case "ips":
				j.Strings(&a.IPs)
			default:
				j.Skip()
			}
		})
	})
}

func readAttachment(j *Reader) (a Attachment) {
	j.Object(func(name string) {
		switch name {
		case "containerid":
			j.String(&a.ContainerID)
		case "ifname":
			j.String(&a.Ifname)
		default:
			j.Skip()
		}
	})
	return a
}

func (r *Request) checkEnvironment() error {
	switch r.Command {
	case Add, Check:
		if r.Netns == "" {
			return environment("CNI_NETNS", "is not set")
		}
	case Del:
	case GC, Status:
		return nil
	default:
		return environment("CNI_COMMAND", "no such command: "+r.Command)
	}
	if bad := badName(r.ContainerID); bad != "" {
		return environment("CNI_CONTAINERID", bad)
	}
	if bad := badIfname(r.Ifname); bad != "" {
		return environment("CNI_IFNAME", bad)
	}
	return nil
}

// checkVersion refuses versions that we do not speak, and commands that the
// version does not have.
func (r *Request) checkVersion() error {
	v := r.Conf.CNIVersion
	if v == "" {
		v = "0.1.0" // as the specification says of a configuration without one
	}
	wants := map[string]string{Check: "0.4.0", GC: "1.1.0", Status: "1.1.0"}[r.Command]
	switch {
	case !Supported(v):
		return Fail(CodeVersion, &fail.Error{Where: "cniVersion", Doing: "version " + v + " is not supported",
			Hint: "use one of " + strings.Join(Versions, ", ")})
	case wants != "" && !AtLeast(v, wants):
		return Fail(CodeVersion, fail.At("cniVersion", r.Command+" needs version "+wants+", this is "+v))
	}
	return nil
}

func (r *Request) checkName() error {
	if bad := badName(r.Conf.Name); bad != "" {
		return Invalid("name", bad)
	}
	return nil
}

// badName says what is wrong with a network's name or a container's id.
func badName(s string) string {
	switch {
	case s == "":
		return "is not set"
	case len(s) > maxName:
		return "is longer than 200 characters"
	case !isAlphanumeric(s[0]):
		return "must begin with a letter or a digit: " + s
	}
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && !strings.ContainsRune("_.-", rune(s[i])) {
			return "may only have letters, digits, _ . and -: " + s
		}
	}
	return ""
}

// badIfname says what is wrong with an interface's name. The kernel would take
// a % for the place of a number of its own choice.
func badIfname(s string) string {
	switch {
	case s == "":
		return "is not set"
	case len(s) > 15:
		return "is longer than 15 characters: " + s
	case s == "." || s == "..":
		return "is no name for an interface: " + s
	case strings.ContainsAny(s, "/:% \t\n\v\f\r") || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return "must not have /, :, % or white space: " + s
	}
	return ""
}

// BadIfname is badIfname for names in a configuration, such as a bridge's.
func BadIfname(s string) string { return badIfname(s) }

// parseArgs reads K=V;K=V. Keys that nobody here knows need IgnoreUnknown=1.
func parseArgs(s string) (map[string]string, error) {
	args := map[string]string{}
	for pair := range strings.SplitSeq(s, ";") {
		if pair == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, environment("CNI_ARGS", "wants KEY=VALUE pairs with ; between them, has "+pair)
		}
		args[key] = value
	}
	if ignore := args["IgnoreUnknown"]; ignore == "1" || strings.EqualFold(ignore, "true") {
		return args, nil
	}
	for key := range args {
		if key != "IP" && key != "MAC" && key != "GATEWAY" && key != "IgnoreUnknown" && !strings.HasPrefix(key, "K8S_") {
			return nil, environment("CNI_ARGS", "unknown key "+key+" and no IgnoreUnknown=1")
		}
	}
	return args, nil
}

// MAC returns the hardware address that the runtime asks for, "" if it does
// not: capability before args.cni before CNI_ARGS.
func (r *Request) MAC() (where, mac string) {
	switch {
	case r.Conf.RuntimeConfig.MAC != "":
		return "runtimeConfig.mac", r.Conf.RuntimeConfig.MAC
	case r.Conf.Args.MAC != "":
		return "args.cni.mac", r.Conf.Args.MAC
	default:
		return "CNI_ARGS MAC", r.Args["MAC"]
	}
}

// IPs returns the addresses that the runtime asks for; a length of the network
// behind them is allowed and ignored. The ways add up.
func (r *Request) IPs() ([]netip.Addr, error) {
	var ips []netip.Addr
	add := func(where string, texts ...string) error {
		for _, s := range texts {
			address, _, _ := strings.Cut(strings.TrimSpace(s), "/")
			ip, err := netip.ParseAddr(address)
			if err != nil || ip.Zone() != "" {
				return Invalid(where, "not an address: "+s)
			}
			ips = append(ips, ip.Unmap())
		}
		return nil
	}
	if err := add("runtimeConfig.ips", r.Conf.RuntimeConfig.IPs...); err != nil {
		return nil, err
	}
	if err := add("args.cni.ips", r.Conf.Args.IPs...); err != nil {
		return nil, err
	}
	if r.Args["IP"] != "" {
		if err := add("CNI_ARGS IP", strings.Split(r.Args["IP"], ",")...); err != nil {
			return nil, environment("CNI_ARGS", "IP is not an address: "+r.Args["IP"])
		}
	}
	return ips, nil
}

// IPAMType returns ipam.type, "" if the configuration has none.
func (r *Request) IPAMType() (string, error) {
	if r.Conf.IPAM == nil {
		return "", nil
	}
	var kind string
	err := Read("ipam", r.Conf.IPAM, func(j *Reader) {
		j.Object(func(name string) {
			if name == "type" {
				j.String(&kind)
			} else {
				j.Skip()
			}
		})
	})
	if err == nil && (strings.Contains(kind, "/") || kind == "..") {
		err = Invalid("ipam.type", "is a plugin's name, not a path: "+kind)
	}
	return kind, err
}

func splitPath(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ":")
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
