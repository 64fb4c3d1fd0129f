// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/decode"
)

func resources(r *decode.Reader, s *specs.LinuxResources) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "devices":
			decode.Array(r, &s.Devices, deviceRule)
		case "memory":
			decode.Pointer(r, &s.Memory, memory)
		case "cpu":
			decode.Pointer(r, &s.CPU, cpu)
		case "pids":
			decode.Pointer(r, &s.Pids, pids)
		case "blockIO":
			decode.Pointer(r, &s.BlockIO, blockIO)
		case "hugepageLimits":
			decode.Array(r, &s.HugepageLimits, hugepageLimit)
		case "network":
			decode.Pointer(r, &s.Network, network)
		case "rdma":
			decode.Dictionary(r, &s.Rdma, rdma)
		case "unified":
			decode.Dictionary(r, &s.Unified, decode.Str)
		default:
			r.Unknown()
		}
	})
}

func deviceRule(r *decode.Reader, d *specs.LinuxDeviceCgroup) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "allow":
			decode.Bool(r, &d.Allow)
		case "type":
			decode.Str(r, &d.Type)
		case "major":
			decode.Pointer(r, &d.Major, decode.Number)
		case "minor":
			decode.Pointer(r, &d.Minor, decode.Number)
		case "access":
			decode.Str(r, &d.Access)
		default:
			r.Unknown()
		}
	})
}

func memory(r *decode.Reader, m *specs.LinuxMemory) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "limit":
			decode.Pointer(r, &m.Limit, decode.Number)
		case "reservation":
			decode.Pointer(r, &m.Reservation, decode.Number)
		case "swap":
			decode.Pointer(r, &m.Swap, decode.Number)
		case "kernel":
			decode.Pointer(r, &m.Kernel, decode.Number)
		case "kernelTCP":
			decode.Pointer(r, &m.KernelTCP, decode.Number)
		case "swappiness":
			decode.Pointer(r, &m.Swappiness, decode.Number)
		case "disableOOMKiller":
			decode.Pointer(r, &m.DisableOOMKiller, decode.Bool)
		case "useHierarchy":
			decode.Pointer(r, &m.UseHierarchy, decode.Bool)
		case "checkBeforeUpdate":
			decode.Pointer(r, &m.CheckBeforeUpdate, decode.Bool)
		default:
			r.Unknown()
		}
	})
}

func cpu(r *decode.Reader, c *specs.LinuxCPU) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "shares":
			decode.Pointer(r, &c.Shares, decode.Number)
		case "quota":
			decode.Pointer(r, &c.Quota, decode.Number)
		case "burst":
			decode.Pointer(r, &c.Burst, decode.Number)
		case "period":
			decode.Pointer(r, &c.Period, decode.Number)
		case "realtimeRuntime":
			decode.Pointer(r, &c.RealtimeRuntime, decode.Number)
		case "realtimePeriod":
			decode.Pointer(r, &c.RealtimePeriod, decode.Number)
		case "cpus":
			decode.Str(r, &c.Cpus)
		case "mems":
			decode.Str(r, &c.Mems)
		case "idle":
			decode.Pointer(r, &c.Idle, decode.Number)
		default:
			r.Unknown()
		}
	})
}

func pids(r *decode.Reader, p *specs.LinuxPids) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "limit":
			decode.Pointer(r, &p.Limit, decode.Number)
		default:
			r.Unknown()
		}
	})
}

func blockIO(r *decode.Reader, b *specs.LinuxBlockIO) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "weight":
			decode.Pointer(r, &b.Weight, decode.Number)
		case "leafWeight":
			decode.Pointer(r, &b.LeafWeight, decode.Number)
		case "weightDevice":
			decode.Array(r, &b.WeightDevice, weightDevice)
		case "throttleReadBpsDevice":
			decode.Array(r, &b.ThrottleReadBpsDevice, throttleDevice)
		case "throttleWriteBpsDevice":
			decode.Array(r, &b.ThrottleWriteBpsDevice, throttleDevice)
		case "throttleReadIOPSDevice":
			decode.Array(r, &b.ThrottleReadIOPSDevice, throttleDevice)
		case "throttleWriteIOPSDevice":
			decode.Array(r, &b.ThrottleWriteIOPSDevice, throttleDevice)
		default:
			r.Unknown()
		}
	})
}

func weightDevice(r *decode.Reader, d *specs.LinuxWeightDevice) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "major":
			decode.Number(r, &d.Major)
		case "minor":
			decode.Number(r, &d.Minor)
		case "weight":
			decode.Pointer(r, &d.Weight, decode.Number)
		case "leafWeight":
			decode.Pointer(r, &d.LeafWeight, decode.Number)
		default:
			r.Unknown()
		}
	})
}

func throttleDevice(r *decode.Reader, d *specs.LinuxThrottleDevice) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "major":
			decode.Number(r, &d.Major)
		case "minor":
			decode.Number(r, &d.Minor)
		case "rate":
			decode.Number(r, &d.Rate)
		default:
			r.Unknown()
		}
	})
}

func hugepageLimit(r *decode.Reader, l *specs.LinuxHugepageLimit) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "pageSize":
			decode.Str(r, &l.Pagesize)
		case "limit":
			decode.Number(r, &l.Limit)
		default:
			r.Unknown()
		}
	})
}

func network(r *decode.Reader, n *specs.LinuxNetwork) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "classID":
			decode.Pointer(r, &n.ClassID, decode.Number)
		case "priorities":
			decode.Array(r, &n.Priorities, interfacePriority)
		default:
			r.Unknown()
		}
	})
}

func interfacePriority(r *decode.Reader, p *specs.LinuxInterfacePriority) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "name":
			decode.Str(r, &p.Name)
		case "priority":
			decode.Number(r, &p.Priority)
		default:
			r.Unknown()
		}
	})
}

func rdma(r *decode.Reader, l *specs.LinuxRdma) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "hcaHandles":
			decode.Pointer(r, &l.HcaHandles, decode.Number)
		case "hcaObjects":
			decode.Pointer(r, &l.HcaObjects, decode.Number)
		default:
			r.Unknown()
		}
	})
}
