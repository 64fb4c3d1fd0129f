// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plugin

import (
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"strings"
)

// maxTag is what the comment of an nf_tables element holds (252 bytes) and
// the alias of a link (255).
const maxTag = 250

// Tag is the owner of what an attachment leaves in the kernel, to be read by
// people and found again by DEL and GC: network|container|interface. Where that
// is too long for the kernel, a hash stands for the container.
func Tag(network string, a Attachment) string {
	tag := network + "|" + a.ContainerID + "|" + a.Ifname
	if len(tag) <= maxTag {
		return tag
	}
	return network + "|#" + hex.EncodeToString(digest(a.ContainerID)) + "|" + a.Ifname
}

// OfNetwork tells whether a tag belongs to a network.
func OfNetwork(tag, network string) bool { return strings.HasPrefix(tag, network+"|") }

// Tag is the request's own tag.
func (r *Request) Tag() string { return Tag(r.Conf.Name, r.Attachment()) }

// Attachment is the request's own container and interface.
func (r *Request) Attachment() Attachment { return Attachment{r.ContainerID, r.Ifname} }

// HostLink is the name of the host's end of an attachment. It follows from
// network, container and interface, so that DEL finds it without the container:
// "veth" and 55 bits of a hash.
func HostLink(network string, a Attachment) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	sum := digest(network + "|" + a.ContainerID + "|" + a.Ifname)
	// FNV's upper bits change little with the last letters of a name: mix them
	// (the finalizer of MurmurHash3).
	h := binary.BigEndian.Uint64(sum) ^ binary.BigEndian.Uint64(sum[8:])
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	name := []byte("veth")
	for range 11 {
		name = append(name, alphabet[h>>59])
		h <<= 5
	}
	return string(name)
}

// digest need not withstand an attacker: who chooses container ids is root
// here. The cryptographic hashes of Go cost start-up time.
func digest(s string) []byte {
	h := fnv.New128a()
	h.Write([]byte(s))
	return h.Sum(nil)
}

// Stale returns a function that tells whether a tag of network belongs to
// nobody of valid: what GC removes.
func Stale(network string, valid []Attachment) func(tag string) bool {
	keep := map[string]bool{}
	for _, a := range valid {
		keep[Tag(network, a)] = true
	}
	return func(tag string) bool { return OfNetwork(tag, network) && !keep[tag] }
}
