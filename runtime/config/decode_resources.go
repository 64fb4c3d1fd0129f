// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import "github.com/opencontainers/runtime-spec/specs-go"

func resources(r *reader, s *specs.LinuxResources) {
	r.object(func(name []byte) {
		switch string(name) {
		case "devices":
			array(r, &s.Devices, deviceRule)
		case "memory":
			pointer(r, &s.Memory, memory)
		case "cpu":
			pointer(r, &s.CPU, cpu)
		case "pids":
			pointer(r, &s.Pids, pids)
		case "blockIO":
			pointer(r, &s.BlockIO, blockIO)
		case "hugepageLimits":
			array(r, &s.HugepageLimits, hugepageLimit)
		case "network":
			pointer(r, &s.Network, network)
		case "rdma":
			dictionary(r, &s.Rdma, rdma)
		case "unified":
			dictionary(r, &s.Unified, str)
		default:
			r.unknown()
		}
	})
}

func deviceRule(r *reader, d *specs.LinuxDeviceCgroup) {
	r.object(func(name []byte) {
		switch string(name) {
		case "allow":
			boolean(r, &d.Allow)
		case "type":
			str(r, &d.Type)
		case "major":
			pointer(r, &d.Major, number)
		case "minor":
			pointer(r, &d.Minor, number)
		case "access":
			str(r, &d.Access)
		default:
			r.unknown()
		}
	})
}

func memory(r *reader, m *specs.LinuxMemory) {
	r.object(func(name []byte) {
		switch string(name) {
		case "limit":
			pointer(r, &m.Limit, number)
		case "reservation":
			pointer(r, &m.Reservation, number)
		case "swap":
			pointer(r, &m.Swap, number)
		case "kernel":
			pointer(r, &m.Kernel, number)
		case "kernelTCP":
			pointer(r, &m.KernelTCP, number)
		case "swappiness":
			pointer(r, &m.Swappiness, number)
		case "disableOOMKiller":
			pointer(r, &m.DisableOOMKiller, boolean)
		case "useHierarchy":
			pointer(r, &m.UseHierarchy, boolean)
		case "checkBeforeUpdate":
			pointer(r, &m.CheckBeforeUpdate, boolean)
		default:
			r.unknown()
		}
	})
}

func cpu(r *reader, c *specs.LinuxCPU) {
	r.object(func(name []byte) {
		switch string(name) {
		case "shares":
			pointer(r, &c.Shares, number)
		case "quota":
			pointer(r, &c.Quota, number)
		case "burst":
			pointer(r, &c.Burst, number)
		case "period":
			pointer(r, &c.Period, number)
		case "realtimeRuntime":
			pointer(r, &c.RealtimeRuntime, number)
		case "realtimePeriod":
			pointer(r, &c.RealtimePeriod, number)
		case "cpus":
			str(r, &c.Cpus)
		case "mems":
			str(r, &c.Mems)
		case "idle":
			pointer(r, &c.Idle, number)
		default:
			r.unknown()
		}
	})
}

func pids(r *reader, p *specs.LinuxPids) {
	r.object(func(name []byte) {
		switch string(name) {
		case "limit":
			pointer(r, &p.Limit, number)
		default:
			r.unknown()
		}
	})
}

func blockIO(r *reader, b *specs.LinuxBlockIO) {
	r.object(func(name []byte) {
		switch string(name) {
		case "weight":
			pointer(r, &b.Weight, number)
		case "leafWeight":
			pointer(r, &b.LeafWeight, number)
		case "weightDevice":
			array(r, &b.WeightDevice, weightDevice)
		case "throttleReadBpsDevice":
			array(r, &b.ThrottleReadBpsDevice, throttleDevice)
		case "throttleWriteBpsDevice":
			array(r, &b.ThrottleWriteBpsDevice, throttleDevice)
		case "throttleReadIOPSDevice":
			array(r, &b.ThrottleReadIOPSDevice, throttleDevice)
		case "throttleWriteIOPSDevice":
			array(r, &b.ThrottleWriteIOPSDevice, throttleDevice)
		default:
			r.unknown()
		}
	})
}

func weightDevice(r *reader, d *specs.LinuxWeightDevice) {
	r.object(func(name []byte) {
		switch string(name) {
		case "major":
			number(r, &d.Major)
		case "minor":
			number(r, &d.Minor)
		case "weight":
			pointer(r, &d.Weight, number)
		case "leafWeight":
			pointer(r, &d.LeafWeight, number)
		default:
			r.unknown()
		}
	})
}

func throttleDevice(r *reader, d *specs.LinuxThrottleDevice) {
	r.object(func(name []byte) {
		switch string(name) {
		case "major":
			number(r, &d.Major)
		case "minor":
			number(r, &d.Minor)
		case "rate":
			number(r, &d.Rate)
		default:
			r.unknown()
		}
	})
}

func hugepageLimit(r *reader, l *specs.LinuxHugepageLimit) {
	r.object(func(name []byte) {
		switch string(name) {
		case "pageSize":
			str(r, &l.Pagesize)
		case "limit":
			number(r, &l.Limit)
		default:
			r.unknown()
		}
	})
}

func network(r *reader, n *specs.LinuxNetwork) {
	r.object(func(name []byte) {
		switch string(name) {
		case "classID":
			pointer(r, &n.ClassID, number)
		case "priorities":
			array(r, &n.Priorities, interfacePriority)
		default:
			r.unknown()
		}
	})
}

func interfacePriority(r *reader, p *specs.LinuxInterfacePriority) {
	r.object(func(name []byte) {
		switch string(name) {
		case "name":
			str(r, &p.Name)
		case "priority":
			number(r, &p.Priority)
		default:
			r.unknown()
		}
	})
}

func rdma(r *reader, l *specs.LinuxRdma) {
	r.object(func(name []byte) {
		switch string(name) {
		case "hcaHandles":
			pointer(r, &l.HcaHandles, number)
		case "hcaObjects":
			pointer(r, &l.HcaObjects, number)
		default:
			r.unknown()
		}
	})
}
