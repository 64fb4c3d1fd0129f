// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package network

import (
	"encoding/json"
	"errors"
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
		return nil, &fail.Error{Where: "--subnet", Doing: "is missing", Hint: "for example --subnet 10.88.0.0/24"}
	}
	var ranges [][]map[string]string
	for _, s := range w.Subnets {
		p, err := netip.ParsePrefix(s)
		if err != nil || p.Masked() != p {
			return nil, fail.At("--subnet", "not a network such as 10.88.0.0/24 or fd88::/64: "+s)
		}
		ranges = append(ranges, []map[string]string{{"subnet": p.String()}})
	}
	if w.Bridge == "" {
		w.Bridge = "br-" + w.Name
		w.Bridge = w.Bridge[:min(len(w.Bridge), linux.IFNAMSIZ-1)]
	}
	ipam := map[string]any{"type": "host-local", "ranges": ranges}
	if w.DataDir != "" {
		ipam["dataDir"] = w.DataDir
	}
	bridge := map[string]any{"type": "bridge", "bridge": w.Bridge, "isDefaultGateway": true, "ipMasq": w.Masq, "hairpinMode": true, "ipam": ipam}
	if w.MTU != 0 {
		bridge["mtu"] = w.MTU
	}
	return map[string]any{"cniVersion": "1.1.0", "name": w.Name, "plugins": []any{bridge}}, nil
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
	var conf struct {
		Bridge string
		IPAM   struct{ Type, DataDir string }
	}
	if p.Network.Type != "bridge" || json.Unmarshal(p.Bytes, &conf) != nil {
		return nil
	}
	if conf.Bridge == "" {
		conf.Bridge = "cni0"
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
