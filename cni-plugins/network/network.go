// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package network attaches containers to CNI networks without an engine, on the
// CNI project's own library: any plugins, any configuration list. It is what
// cninet does; the plugins themselves do not know it.
package network

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/coracle-oci/coracle/internal/fail"
)

// Networks is the places where networks live on a machine.
type Networks struct {
	ConfDir    string   // configuration lists
	CacheDir   string   // what ADD answered, libcni's; "" for /var/lib/cni
	PluginDirs []string // searched in this order
}

// ConfDir is where everybody keeps configuration lists.
const ConfDir = "/etc/cni/net.d"

// PluginDirs is CNI_PATH, or else the directory cni beside this program (as
// make build lays them out) and /opt/cni/bin.
func PluginDirs() []string {
	if path := os.Getenv("CNI_PATH"); path != "" {
		return filepath.SplitList(path)
	}
	dirs := []string{"/opt/cni/bin"}
	if self, err := os.Executable(); err == nil {
		dirs = append([]string{filepath.Join(filepath.Dir(self), "cni")}, dirs...)
	}
	return dirs
}

// A Container is what an attachment needs to know of one.
type Container struct {
	ID     string
	Netns  string // path; "" when it is gone
	Ifname string
}

// patience is how long the plugins of one call may take together.
const patience = 2 * time.Minute

// Attach adds the container to a network. When a plugin of the list fails,
// those before it are told to clean up.
func (n Networks) Attach(name string, c Container) (types.Result, error) {
	list, err := n.load(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	result, err := n.cni().AddNetworkList(ctx, list, c.runtime())
	if err != nil {
		if !n.cached(name, c) { // what an attachment of that name made is not ours to remove
			n.cni().DelNetworkList(ctx, list, c.runtime())
		}
		return nil, explain("attach container "+c.ID+" to network "+name, err)
	}
	return result, nil
}

// Detach removes the container from a network. Its network namespace is not
// looked at: when a container has stopped, its process id may be another's.
func (n Networks) Detach(name string, c Container) error {
	list, err := n.load(name)
	if err != nil {
		return err
	}
	return n.detach(list, c)
}

func (n Networks) detach(list *libcni.NetworkConfigList, c Container) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c.Netns = ""
	return explain("detach container "+c.ID+" from network "+list.Name, n.cni().DelNetworkList(ctx, list, c.runtime()))
}

// Status asks the plugins whether an attachment would work.
func (n Networks) Status(name string) error {
	list, err := n.load(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return explain("status of network "+name, n.cni().GetStatusNetworkList(ctx, list))
}

// Check compares the attachments of a network with what is there. It returns
// one error for each that is not as it was made.
func (n Networks) Check(name string) (broken []error, err error) {
	list, err := n.load(name)
	if err != nil {
		return nil, err
	}
	attachments, err := n.attachments(name)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, a := range attachments {
		rt := Container{a.ContainerID, a.Netns, a.Ifname}.runtime()
		if err := n.cni().CheckNetworkList(ctx, list, rt); err != nil {
			broken = append(broken, explain("container "+a.ContainerID+" ("+a.Ifname+") on network "+name, err))
		}
	}
	return broken, err
}

// GC removes what containers left behind that are gone.
func (n Networks) GC(name string) error {
	list, err := n.load(name)
	if err != nil {
		return err
	}
	attachments, err := n.attachments(name)
	if err != nil {
		return err
	}
	args := &libcni.GCArgs{}
	for _, a := range attachments {
		if a.alive() {
			args.ValidAttachments = append(args.ValidAttachments, types.GCAttachment{ContainerID: a.ContainerID, IfName: a.Ifname})
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return explain("clean up network "+name, n.cni().GCNetworkList(ctx, list, args))
}

// load reads the configuration list of a network.
func (n Networks) load(name string) (*libcni.NetworkConfigList, error) {
	list, err := libcni.LoadNetworkConf(n.ConfDir, name)
	if err == nil {
		return list, nil
	}
	_, noSuch := errors.AsType[libcni.NotFoundError](err)
	_, none := errors.AsType[libcni.NoConfigsFoundError](err)
	if noSuch || none || errors.Is(err, fs.ErrNotExist) {
		return nil, &fail.Error{Where: n.ConfDir, Doing: "there is no network " + name,
			Hint: "make it with: cninet create " + name + " --subnet 10.99.0.0/24 --masq"}
	}
	return nil, &fail.Error{Where: n.ConfDir, Doing: "read network " + name, Err: err}
}

func (n Networks) cni() *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir(n.PluginDirs, n.CacheDir, nil)
}

func (c Container) runtime() *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: c.ID, NetNS: c.Netns, IfName: c.Ifname}
}

// explain keeps the code's number of a plugin's error, which libcni drops.
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	if told, ok := errors.AsType[*types.Error](err); ok {
		return &fail.Error{Doing: doing, Err: errors.New(told.Msg), Hint: told.Details}
	}
	return &fail.Error{Doing: doing, Err: errors.New(strings.ReplaceAll(err.Error(), "\n", " "))}
}

// decode reads a cached result of any version as the newest.
func decode(text json.RawMessage) (*types100.Result, error) {
	var head struct {
		CNIVersion string `json:"cniVersion"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, err
	}
	result, err := createResult(head.CNIVersion, text)
	if err != nil {
		return nil, err
	}
	return types100.NewResultFromResult(result)
}
