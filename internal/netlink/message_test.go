// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package netlink

import (
	"encoding/binary"
	"encoding/hex"
	"flag"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/sys/linux"
)

var update = flag.Bool("update", false, "rewrite testdata/messages.txt")

// all is one message of each kind.
func all() []Message {
	mac, peer := MAC{2, 0, 0, 0, 0, 1}, MAC{2, 0, 0, 0, 0, 2}
	seven, host := 7, 254
	set := Set{Table: "t", Name: "s", Key: IPv4Ifname, ID: 3}
	element := Element{Key: append([]byte{10, 1, 0, 2}, IfnameKey("br0")...), Comment: "net|c|eth0"}
	return []Message{
		NewBridge(Bridge{Name: "br0", MAC: mac}),
		NewBridge(Bridge{Name: "br0", MAC: mac, MTU: 9000, VlanFiltering: true}),
		NewVeth(Veth{Name: "vetha", MAC: mac, MTU: 1400, Master: "br0", Peer: "eth0", PeerIn: 5, PeerAt: peer}),
		SetPort("vetha", "net|c|eth0", true, false),
		SetUp("eth0", true), SetUp("lo", false), SetPromisc("br0"), DelLink("vetha"), GetLink("br0"), GetPorts("br0"), GetLinks(), MoveLink("eth0", "net%d", 5), kept(),
		NewAddr("eth0", netip.MustParsePrefix("10.1.0.2/24"), true),
		NewAddr("eth0", netip.MustParsePrefix("fd00::2/64"), true),
		NewAddr("eth0", netip.MustParsePrefix("fd00::2/64"), false),
		DelAddr("br0", netip.MustParsePrefix("10.1.0.1/24")), GetAddrs("br0"),
		NewRoute("eth0", Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), GW: netip.MustParseAddr("10.1.0.1")}),
		NewRoute("eth0", Route{Dst: netip.MustParsePrefix("fd01::/64"), GW: netip.MustParseAddr("fd00::1"), MTU: 1300, AdvMSS: 1200, Priority: 5, Table: &seven}),
		NewRoute("eth0", Route{Dst: netip.MustParsePrefix("192.0.2.0/24"), Scope: &host}),
		GetRoutes("eth0", netip.MustParseAddr("10.0.0.0")),
		Begin(), End(), BeginAt(7), GetGeneration(), Table("t").New("for people"), Table("t").Delete(),
		Table("t").NewChain("c", Hook{"nat", linux.NF_INET_POST_ROUTING, linux.NF_IP_PRI_NAT_SRC}),
		set.New(), set.Add(element, "x"), set.Remove(element, "x"), set.List(),
		Table("t").NewRule("c", "all expressions", LoadNfproto(Reg0), Equal(Reg0, []byte{2}), LoadNetwork(Reg0, 12, 4), Mask(Reg0, []byte{240, 0, 0, 0}),
			Unequal(Reg0, []byte{224, 0, 0, 0}), LoadOifname(Reg0+1), In(Reg0, set), Masquerade(), Return()),
	}
}

// kept is the request for an address that the kernel told of link 7.
func kept() Message {
	told := NewAddr("eth0", netip.MustParsePrefix("fd00::2/64"), true).Body
	told[2], told[4] = linux.IFA_F_PERMANENT, 7
	binary.NativeEndian.PutUint32(told[len(told)-4:], linux.IFA_F_PERMANENT|linux.IFA_F_NOPREFIXROUTE)
	m, _ := KeepAddr(told, 7, "net0")
	return m
}

// TestKeepAddr: only permanent addresses of global scope of that very link.
func TestKeepAddr(t *testing.T) {
	for name, change := range map[string]func([]byte){
		"another link":  func(b []byte) { b[4] = 8 },
		"of the link":   func(b []byte) { b[3] = linux.RT_SCOPE_LINK },
		"not permanent": func(b []byte) { binary.NativeEndian.PutUint32(b[len(b)-4:], 0) },
	} {
		told := NewAddr("eth0", netip.MustParsePrefix("fd00::2/64"), true).Body
		told[4] = 7
		binary.NativeEndian.PutUint32(told[len(told)-4:], linux.IFA_F_PERMANENT)
		if _, ok := KeepAddr(told, 7, "net0"); !ok {
			t.Fatal("not kept")
		}
		change(told)
		if m, ok := KeepAddr(told, 7, "net0"); ok {
			t.Errorf("%s: %s", name, m)
		}
	}
}

// The bytes of every message. A change of this file is a change of what the
// kernel is told: the tests in tests/network say whether it still understands.
func TestGolden(t *testing.T) {
	var b strings.Builder
	for i, m := range all() {
		b.WriteString(m.String() + "\n" + hex.EncodeToString(m.Append(nil, uint32(i+1))) + "\n")
	}
	const path = "testdata/messages.txt"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	have, lines := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(have), len(lines)) {
		if i >= len(have) || i >= len(lines) || have[i] != lines[i] {
			t.Fatalf("line %d\nhave %s\nwant %s", i+1, at(have, i), at(lines, i))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "nothing"
}

// Each message is what its header says, and its attributes fill it exactly.
func TestWellFormed(t *testing.T) {
	var datagram []byte
	messages := all()
	for i, m := range messages {
		datagram = m.Append(datagram, uint32(i))
	}
	i := 0
	for r := range Replies(datagram) {
		m := messages[i]
		if r.Type != m.Type || int(r.Number) != i || r.Flags != m.Flags|linux.NLM_F_REQUEST || !slices.Equal(r.Body, m.Body) {
			t.Errorf("%s: read back as %+v", m, r)
		}
		header := map[string]int{"RTM_NEWADDR": addrHeaderLen, "RTM_DELADDR": addrHeaderLen, "RTM_GETADDR": addrHeaderLen, "RTM_NEWROUTE": routeHeaderLen, "RTM_GETROUTE": routeHeaderLen}[TypeName(m.Type)]
		if header == 0 && strings.HasSuffix(TypeName(m.Type), "LINK") && !strings.HasPrefix(m.Doing, "begin") && m.Doing != "commit" { // NFNL_MSG_BATCH_BEGIN has RTM_NEWLINK's number
			header = linkHeaderLen
		} else if header == 0 {
			header = nftHeaderLen
		}
		size := header
		for _, payload := range Attributes(m.Body[header:]) {
			size += (4 + len(payload) + 3) &^ 3
		}
		if size != len(m.Body) {
			t.Errorf("%s: attributes fill %d of %d bytes", m, size, len(m.Body))
		}
		i++
	}
	if i != len(messages) {
		t.Errorf("%d of %d messages read back", i, len(messages))
	}
}

func TestBound(t *testing.T) {
	m := NewVeth(Veth{Name: "v", Master: "br0", Peer: "eth0"})
	before := SetUp("lo", true).Append(nil, 1)
	bound := m.AppendBound(slices.Clone(before), 2, map[string]uint32{"br0": 0x01020304})
	plain := m.Append(before, 2)
	changed := 0
	for i := range plain {
		if plain[i] != bound[i] {
			changed++
		}
	}
	if l, ok := ParseLink(bound[len(before)+HeaderLen:]); !ok || l.Master != 0x01020304 || changed != 4 {
		t.Errorf("%+v, %d bytes changed", l, changed)
	}
	if l, _ := ParseLink(m.Body); l.Master != 0 {
		t.Error("the message itself was changed")
	}
}

func TestReadBack(t *testing.T) {
	for _, a := range []string{"10.1.0.2/24", "fd00::2/64"} {
		if have, ok := ParseAddr(NewAddr("x", netip.MustParsePrefix(a), true).Body); !ok || have.String() != a {
			t.Errorf("%s read back as %s", a, have)
		}
	}
	seven := 700
	r := Route{Dst: netip.MustParsePrefix("192.0.2.0/24"), GW: netip.MustParseAddr("10.1.0.1"), Table: &seven}
	if have, ok := ParseRoute(NewRoute("x", r).Body); !ok || !reflect.DeepEqual(have, r) {
		t.Errorf("%v read back as %v", r, have)
	}
	e := Element{Key: []byte{10, 1, 0, 2}, Comment: strings.Repeat("c", CommentMax)}
	set := Set{"t", "s", IPv4, 1}
	if have := ParseElements(set.Add(e, "").Body); len(have) != 1 || !reflect.DeepEqual(have[0], e) {
		t.Errorf("%v", have)
	}
	e.Comment += "more"
	if have := ParseElements(set.Add(e, "").Body); len(have) != 1 || len(have[0].Comment) != CommentMax {
		t.Errorf("%v", have)
	}
}

func TestMAC(t *testing.T) {
	for text, ok := range map[string]bool{"02:00:5e:10:ff:0a": true, "": false, "02:00:5e:10:ff": false, "02-00-5e-10-ff-0a": false, "0g:00:5e:10:ff:0a": false} {
		m, good := ParseMAC(text)
		if good != ok || good && m.String() != text {
			t.Errorf("%q: %v %v", text, m, good)
		}
	}
}

func TestErrno(t *testing.T) {
	// An NLMSG_ERROR of -17 for a capped request, with the kernel's words.
	text := "exists"
	body := []byte{0xef, 0xff, 0xff, 0xff}
	body = append(body, make([]byte, HeaderLen)...)
	w := &writer{b: body}
	w.text(linux.NLMSGERR_ATTR_MSG, text)
	r := Reply{Type: linux.NLMSG_ERROR, Flags: linux.NLM_F_CAPPED | linux.NLM_F_ACK_TLVS, Body: w.b}
	if errno, words := r.Errno(); errno != 17 || words != text {
		t.Errorf("%d %q", errno, words)
	}
}

// Whatever a datagram holds, reading it ends and does not panic.
func FuzzReplies(f *testing.F) {
	for i, m := range all() {
		f.Add(m.Append(nil, uint32(i)))
	}
	f.Fuzz(func(t *testing.T, datagram []byte) {
		for r := range Replies(datagram) {
			r.Errno()
			ParseLink(r.Body)
			ParseAddr(r.Body)
			ParseRoute(r.Body)
			ParseElements(r.Body)
		}
	})
}
