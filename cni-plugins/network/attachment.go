// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package network

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/types/create"

	"github.com/coracle-oci/coracle/cni-plugins/netns"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/netlink/conn"
	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// An Attachment is a container on a network, as libcni remembers it.
type Attachment struct {
	ContainerID string   `json:"containerID"`
	Ifname      string   `json:"ifname"`
	Netns       string   `json:"netns"`
	Addresses   []string `json:"addresses"`
	MAC         string   `json:"mac,omitempty"`
}

// A Network is a configuration list with its attachments.
type Network struct {
	Name        string       `json:"name"`
	File        string       `json:"file"`
	Plugins     []string     `json:"plugins"`
	Attachments []Attachment `json:"attachments"`
}

// List returns the networks of the configuration directory, by name.
func (n Networks) List() ([]Network, error) {
	files, err := libcni.ConfFiles(n.ConfDir, []string{".conflist"})
	if err != nil {
		return nil, &fail.Error{Where: n.ConfDir, Doing: "list the networks", Err: err}
	}
	networks := []Network{} // none is [] in JSON
	for _, file := range files {
		list, err := libcni.NetworkConfFromFile(file)
		if err != nil {
			return nil, &fail.Error{Where: file, Doing: "read the network", Err: err}
		}
		network := Network{Name: list.Name, File: file}
		for _, p := range list.Plugins {
			network.Plugins = append(network.Plugins, p.Network.Type)
		}
		if network.Attachments, err = n.attachments(list.Name); err != nil {
			return nil, err
		}
		networks = append(networks, network)
	}
	slices.SortFunc(networks, func(a, b Network) int { return strings.Compare(a.Name, b.Name) })
	return networks, nil
}

// attachments reads libcni's memory of a network.
func (n Networks) attachments(name string) (all []Attachment, err error) {
	all = []Attachment{}
	cached, err := n.cni().GetCachedAttachments("")
	if err != nil {
		return nil, &fail.Error{Where: n.CacheDir, Doing: "list the attachments", Err: err}
	}
	for _, c := range cached {
		if c.Network != name {
			continue
		}
		a := Attachment{ContainerID: c.ContainerID, Ifname: c.IfName, Netns: c.NetNS}
		if err := n.addresses(name, &a); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// addresses takes the addresses from the cached result. libcni reads it only
// for a network whose configuration is there, so its file is read here.
func (n Networks) addresses(name string, a *Attachment) error {
	dir := n.CacheDir
	if dir == "" {
		dir = libcni.CacheDir
	}
	path := filepath.Join(dir, "results", name+"-"+a.ContainerID+"-"+a.Ifname)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // detached meanwhile
	}
	var cached struct{ Result json.RawMessage }
	if err == nil {
		err = json.Unmarshal(text, &cached)
	}
	if err != nil {
		return &fail.Error{Where: path, Doing: "read the attachment", Err: err}
	}
	result, err := decode(cached.Result)
	if err != nil {
		return &fail.Error{Where: path, Doing: "read the attachment", Err: err}
	}
	for _, ip := range result.IPs {
		a.Addresses = append(a.Addresses, (&net.IPNet{IP: ip.Address.IP, Mask: ip.Address.Mask}).String())
	}
	for _, i := range result.Interfaces {
		if i.Sandbox != "" && i.Name == a.Ifname {
			a.MAC = i.Mac
		}
	}
	return nil
}

// cached tells whether the container is attached to the network by that name.
func (n Networks) cached(name string, c Container) bool {
	all, err := n.attachments(name)
	return err == nil && slices.ContainsFunc(all, func(a Attachment) bool { return a.ContainerID == c.ID && a.Ifname == c.Ifname })
}

// alive tells whether the attachment's interface is still there. That a file
// is at the path does not say so: /proc/PID may be another process by now.
func (a Attachment) alive() bool {
	ns, err := netns.Open(a.Netns)
	if err != nil {
		return false
	}
	defer ns.Close()
	c, err := conn.DialBy(ns.Socket, linux.NETLINK_ROUTE)
	if err != nil {
		return false
	}
	defer c.Close()
	link, err := c.Link(a.Ifname)
	return err == nil && (a.MAC == "" || strings.EqualFold(a.MAC, link.MAC.String()))
}

func createResult(version string, text []byte) (types.Result, error) {
	return create.Create(version, text)
}
