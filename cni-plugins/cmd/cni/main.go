// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Nothing that a plugin does is done in parallel.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// The cni program is all plugins in one: bridge, host-local and loopback are
// hard links to it, and the name that it is called by says which one it is.
package main

import (
	"github.com/coracle-oci/coracle/cni-plugins/bridge/verbs"
	"github.com/coracle-oci/coracle/cni-plugins/hostlocal"
	"github.com/coracle-oci/coracle/cni-plugins/loopback"
	"github.com/coracle-oci/coracle/cni-plugins/netns"
	"github.com/coracle-oci/coracle/cni-plugins/plan"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/cni-plugins/run"
)

func main() { run.Main(bridge(), hostLocal(), loop()) }

func bridge() run.Plugin {
	return run.Plugin{
		Name:    "bridge",
		About:   "connects containers by a bridge, with addresses from an IPAM plugin, a gateway and masquerading",
		Example: `{"cniVersion":"1.1.0","name":"demo","type":"bridge","bridge":"demo0","isGateway":true,"ipMasq":true,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.99.0.0/24"}]]}}`,
		Add:     verbs.Add, Del: verbs.Del, Check: verbs.Check, GC: verbs.GC, Status: verbs.Status, Plan: verbs.Plan,
	}
}

func hostLocal() run.Plugin {
	type ns = *netns.Namespace
	return run.Plugin{
		Name:    "host-local",
		About:   "gives containers addresses of ranges and remembers them in files on this machine",
		Example: `{"cniVersion":"1.1.0","name":"demo","ipam":{"type":"host-local","ranges":[[{"subnet":"10.99.0.0/24"}]]}}`,
		Apart:   true,
		Add:     func(r *plugin.Request, _ ns) (*plugin.Result, error) { return hostlocal.Add(r) },
		Del:     func(r *plugin.Request, _ ns) error { return hostlocal.Del(r) },
		Check:   func(r *plugin.Request, _ ns) error { return hostlocal.Check(r) },
		GC:      hostlocal.GC, Status: hostlocal.Status,
		Plan: func(r *plugin.Request, _ ns) (plan.Plan, error) {
			if r.Command == plugin.Del {
				return hostlocal.PlanDel(r)
			}
			steps, _, err := hostlocal.Plan(r)
			return steps, err
		},
	}
}

func loop() run.Plugin {
	type ns = *netns.Namespace
	return run.Plugin{
		Name:    "loopback",
		About:   "sets lo up in a container",
		Example: `{"cniVersion":"1.1.0","name":"lo","type":"loopback"}`,
		Add:     loopback.Add, Check: loopback.Check,
		Del:    func(*plugin.Request, ns) error { return nil }, // lo goes with its namespace, and until then others may use it
		GC:     func(*plugin.Request) error { return nil },
		Status: func(*plugin.Request) error { return nil },
		Plan:   func(r *plugin.Request, _ ns) (plan.Plan, error) { return loopback.Plan(r) },
	}
}
