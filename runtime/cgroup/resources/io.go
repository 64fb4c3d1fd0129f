// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
)

const fromIO = "linux.resources.blockIO."

// blockIO compiles linux.resources.blockIO: config-linux.md, Block IO.
func (c *compiler) blockIO() {
	b := c.r.BlockIO
	if b == nil {
		return
	}
	c.note(c.ioWeight(fromIO+"weight", "", value(b.Weight)))
	c.note(c.leafWeight(fromIO+"leafWeight", "", value(b.LeafWeight)))
	for i, d := range b.WeightDevice {
		c.note(c.weightDevice(fromIO+"weightDevice["+strconv.Itoa(i)+"]", d))
	}
	for _, t := range []struct {
		name, v1, v2 string
		devices      []specs.LinuxThrottleDevice
	}{
		{"throttleReadBpsDevice", "read_bps", "rbps", b.ThrottleReadBpsDevice},
		{"throttleWriteBpsDevice", "write_bps", "wbps", b.ThrottleWriteBpsDevice},
		{"throttleReadIOPSDevice", "read_iops", "riops", b.ThrottleReadIOPSDevice},
		{"throttleWriteIOPSDevice", "write_iops", "wiops", b.ThrottleWriteIOPSDevice},
	} {
		for i, d := range t.devices {
			c.note(c.throttle(fromIO+t.name+"["+strconv.Itoa(i)+"]", t.v1, t.v2, d))
		}
	}
}

func (c *compiler) weightDevice(from string, d specs.LinuxWeightDevice) error {
	number, err := deviceNumber(from, d.Major, d.Minor)
	if err != nil {
		return err
	}
	if d.Weight == nil && d.LeafWeight == nil {
		return invalid(from, "has neither weight nor leafWeight")
	}
	if err := c.ioWeight(from+".weight", number+" ", value(d.Weight)); err != nil {
		return err
	}
	return c.leafWeight(from+".leafWeight", number+" ", value(d.LeafWeight))
}

// ioWeight sets a weight of 10 to 1000; device is "8:0 ", or "" for all.
//
// On v2 the file belongs to the scheduler BFQ, or else to the cost model, whose
// weights go from 1 to 10000.
func (c *compiler) ioWeight(from, device string, weight uint16) error {
	if weight == 0 {
		return nil
	}
	if weight < 10 || weight > 1000 {
		return invalid(from, "is "+strconv.Itoa(int(weight))+"; it goes from 10 to 1000")
	}
	h, err := c.on("blkio", from)
	if err != nil {
		return err
	}
	text := device + strconv.Itoa(int(weight))
	if !h.v2 {
		file := "/blkio.bfq.weight"
		if device != "" {
			file = "/blkio.bfq.weight_device"
		}
		c.write(from, h.dir+file, text)
		return nil
	}
	c.out.Limit = append(c.out.Limit, Op{Kind: Write, Path: h.dir + "/io.bfq.weight", Value: text, From: from,
		Or: &Op{Kind: Write, Path: h.dir + "/io.weight", Value: device + strconv.FormatUint(IOWeight(weight), 10), From: from}})
	return nil
}

// IOWeight converts a weight of v1, or of BFQ, to one of io.weight.
func IOWeight(weight uint16) uint64 { return 1 + (uint64(weight)-10)*9999/990 }

// leafWeight is refused: its scheduler, CFQ, left Linux with 5.0.
func (c *compiler) leafWeight(from, _ string, weight uint16) error {
	if weight == 0 {
		return nil
	}
	return &fail.Error{Where: configFile + from, Doing: "cannot be applied: the scheduler that had it, CFQ, left Linux with 5.0",
		Hint: "remove it, or use weight"}
}

// throttle sets one limit of one device, in bytes or operations per second.
func (c *compiler) throttle(from, v1, v2 string, d specs.LinuxThrottleDevice) error {
	number, err := deviceNumber(from, d.Major, d.Minor)
	if err != nil {
		return err
	}
	h, err := c.on("blkio", from)
	if err != nil {
		return err
	}
	rate := strconv.FormatUint(d.Rate, 10)
	if !h.v2 {
		c.write(from, h.dir+"/blkio.throttle."+v1+"_device", number+" "+rate)
		return nil
	}
	if d.Rate == 0 { // no limit in v1, an error in v2
		rate = "max"
	}
	c.write(from, h.dir+"/io.max", number+" "+v2+"="+rate)
	return nil
}

// deviceNumber returns "major:minor". The kernel has 12 and 20 bits for them.
func deviceNumber(from string, major, minor int64) (string, error) {
	if major < 0 || major >= 1<<12 {
		return "", invalid(from+".major", "is "+strconv.FormatInt(major, 10)+"; it goes from 0 to 4095")
	}
	if minor < 0 || minor >= 1<<20 {
		return "", invalid(from+".minor", "is "+strconv.FormatInt(minor, 10)+"; it goes from 0 to 1048575")
	}
	return strconv.FormatInt(major, 10) + ":" + strconv.FormatInt(minor, 10), nil
}
