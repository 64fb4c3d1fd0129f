// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/containernetworking/cni/libcni"

	"github.com/coracle-oci/coracle/cni-plugins/masq"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/netlink"
	"github.com/coracle-oci/coracle/internal/netlink/conn"
	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// A Wish is a network as a person asks for it.
type Wish struct {
	Name    string
	Subnets []string // one for each family
	Bridge  string   // "": made from the name
	Masq    bool
	MTU     int
	DataDir string // "": host-local's default
}

// goodName is the specification's, section 1.
var goodName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,99}$`)

// Create writes the configuration list of a bridge network and returns its path.
func (n Networks) Create(w Wish) (string, error) {
	if !goodName.MatchString(w.Name) {
		return "", fail.At("NAME", "must begin with a letter or a digit and have only letters, digits, _ . and -: "+w.Name)
	}
	if _, err := n.load(w.Name); err == nil {
		return "", &fail.Error{Where: n.ConfDir, Doing: "there is a network " + w.Name + " already", Hint: "remove it with: cninet rm " + w.Name}
	}
	list, err := w.list()
	if err != nil {
		return "", err
	}
	if err := n.refuseOverlap(w); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(n.ConfDir, 0o755); err != nil {
		return "", &fail.Error{Where: "--conf-dir", Doing: "make the directory", Err: err}
	}
	path := filepath.Join(n.ConfDir, w.Name+".conflist")
	return path, writeNew(path, append(text, '\n'))
}

// list is the configuration. The container's default route goes by the bridge:
// a network that leads nowhere is not what people ask this command for.
func (w Wish) list() (map[string]any, error) {
	if len(w.Subnets) == 0 {
		return nil, &fail.Error{Where: "--subnet", Doing: "is missing", Hint: "for example --subnet 10.99.0.0/24"}
	}
	var ranges [][]map[string]string
	for _, s := range w.Subnets {
		p, err := netip.ParsePrefix(s)
		if err != nil || p.Masked() != p {
			return nil, fail.At("--subnet", "not a network such as 10.99.0.0/24 or fd99::/64: "+s)
		}
		if p.Bits() > p.Addr().BitLen()-2 {
			return nil, fail.At("--subnet", "has no room for a gateway and a container: "+s)
		}
		ranges = append(ranges, []map[string]string{{"subnet": p.String()}})
	}
	if w.MTU != 0 && (w.MTU < minMTU || w.MTU > maxMTU) {
		return nil, fail.At("--mtu", fmt.Sprintf("is %d; it can be %d to %d", w.MTU, minMTU, maxMTU))
	}
	ipam := map[string]any{"type": "host-local", "ranges": ranges}
	if w.DataDir != "" {
		ipam["dataDir"] = w.DataDir
	}
	bridge := map[string]any{"type": "bridge", "bridge": w.bridge(), "isDefaultGateway": true, "ipMasq": w.Masq, "hairpinMode": true, "ipam": ipam}
	if w.MTU != 0 {
		bridge["mtu"] = w.MTU
	}
	return map[string]any{"cniVersion": "1.1.0", "name": w.Name, "plugins": []any{bridge}}, nil
}

// What the kernel takes for a bridge and a veth (ETH_MIN_MTU, ETH_MAX_MTU).
const minMTU, maxMTU = 68, 65535

func (w Wish) bridge() string {
	if w.Bridge != "" {
		return w.Bridge
	}
	name := "br-" + w.Name
	return name[:min(len(name), linux.IFNAMSIZ-1)]
}

// refuseOverlap refuses what another network has: addresses, which the host then
// routes to one of the two, and a bridge that only looks like one of its own,
// because names of bridges are short.
func (n Networks) refuseOverlap(w Wish) error {
	files, err := libcni.ConfFiles(n.ConfDir, []string{".conflist"})
	if err != nil {
		return &fail.Error{Where: n.ConfDir, Doing: "read the networks", Err: err}
	}
	for _, file := range files {
		list, err := libcni.NetworkConfFromFile(file)
		if err != nil {
			continue // somebody else's, and of no use to anybody
		}
		for _, p := range list.Plugins {
			conf := readBridge(p)
			if w.Bridge == "" && conf.Bridge == w.bridge() {
				return &fail.Error{Where: "--bridge", Doing: "network " + list.Name + " has the bridge " + conf.Bridge, Hint: "give this network another one with --bridge"}
			}
			for _, s := range w.Subnets {
				if other := conf.overlap(netip.MustParsePrefix(s)); other != "" {
					return &fail.Error{Where: "--subnet", Doing: s + " overlaps with " + other + " of network " + list.Name, Hint: "choose another; " + file + " has that one"}
				}
			}
		}
	}
	return nil
}

// A bridgeConf is what is of interest here in the configuration of a bridge.
type bridgeConf struct {
	Bridge string
	IPAM   struct {
		Type, DataDir, Subnet string
		Ranges                [][]struct{ Subnet string }
	}
}

// readBridge reads the configuration of a plugin; that of another one than bridge
// is empty.
func readBridge(p *libcni.PluginConfig) (conf bridgeConf) {
	if p.Network.Type != "bridge" || json.Unmarshal(p.Bytes, &conf) != nil {
		return bridgeConf{}
	}
	if conf.Bridge == "" {
		conf.Bridge = "cni0"
	}
	return conf
}

// overlap returns the subnet that has addresses of p, or "".
func (c bridgeConf) overlap(p netip.Prefix) string {
	subnets := []string{c.IPAM.Subnet}
	for _, set := range c.IPAM.Ranges {
		for _, r := range set {
			subnets = append(subnets, r.Subnet)
		}
	}
	for _, s := range subnets {
		if other, err := netip.ParsePrefix(s); err == nil && other.Overlaps(p) {
			return s
		}
	}
	return ""
}

// Remove removes a network: its attachments if force is set, the configuration
// list, the bridge if nobody uses it, and the ledger of its addresses.
func (n Networks) Remove(name string, force bool) error {
	list, err := n.load(name)
	if err != nil {
		return err
	}
	attachments, err := n.attachments(name)
	if err != nil {
		return err
	}
	for _, a := range attachments {
		if !force && a.alive() {
			return &fail.Error{Where: name, Doing: "container " + a.ContainerID + " is attached", Hint: "stop it first, or use --force"}
		}
		if err := n.detach(list, Container{a.ContainerID, a.Netns, a.Ifname}); err != nil {
			return err
		}
	}
	for _, p := range list.Plugins {
		if err := forget(name, p); err != nil {
			return err
		}
	}
	return n.removeFile(name)
}

// removeFile removes the file that has the network.
func (n Networks) removeFile(name string) error {
	files, err := libcni.ConfFiles(n.ConfDir, []string{".conflist"})
	for _, file := range files {
		if list, err := libcni.NetworkConfFromFile(file); err == nil && list.Name == name {
			return os.Remove(file)
		}
	}
	return err
}

// forget removes what our plugins keep for a network when no container is left.
func forget(name string, p *libcni.PluginConfig) error {
	conf := readBridge(p)
	if conf.Bridge == "" {
		return nil
	}
	if err := removeBridge(conf.Bridge); err != nil {
		return err
	}
	if err := removeTable(); err != nil {
		return err
	}
	if conf.IPAM.Type != "host-local" {
		return nil
	}
	if conf.IPAM.DataDir == "" {
		conf.IPAM.DataDir = "/var/lib/cni/networks"
	}
	return os.RemoveAll(filepath.Join(conf.IPAM.DataDir, name))
}

// removeBridge removes a bridge that has no ports.
func removeBridge(name string) error {
	c, err := conn.Dial(linux.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer c.Close()
	link, err := c.Link(name)
	if errors.Is(err, syscall.ENODEV) || err == nil && link.Kind != "bridge" {
		return nil
	}
	if err != nil {
		return err
	}
	if ports, err := c.Ask(netlink.GetPorts(name)); err != nil || len(ports) > 0 {
		return err
	}
	return c.Exec(netlink.DelLink(name))
}

// removeTable removes the plugins' nf_tables table if it has no element. An ADD
// that comes in between changes the generation, and the table stays.
func removeTable() error {
	c, err := conn.Dial(linux.NETLINK_NETFILTER)
	if err != nil {
		return nil // no nf_tables: no table
	}
	defer c.Close()
	generation, err := c.Generation()
	if err != nil {
		return nil
	}
	for _, set := range masq.Sets() {
		replies, err := c.Ask(set.List())
		if errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, r := range replies {
			if len(netlink.ParseElements(r.Body)) > 0 {
				return nil
			}
		}
	}
	err = c.CommitAt(generation, masq.Table.Delete())
	if errors.Is(err, syscall.ERESTART) || errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return err
}

// writeNew makes a file that appears complete, and does not replace another.
func writeNew(path string, text []byte) error {
	draft, err := os.CreateTemp(filepath.Dir(path), ".cninet-")
	if err != nil {
		return &fail.Error{Where: filepath.Dir(path), Doing: "write the network", Err: err}
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(text)
	if err == nil {
		err = draft.Chmod(0o644)
	}
	if closing := draft.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Link(draft.Name(), path)
	}
	if errors.Is(err, fs.ErrExist) {
		return fail.At(path, "exists already")
	}
	if err != nil {
		return &fail.Error{Where: path, Doing: "write the network", Err: err}
	}
	return nil
}
