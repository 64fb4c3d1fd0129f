// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plugin

import (
	"encoding/json"
	"maps"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// environment of a good ADD.
func good() map[string]string {
	return map[string]string{"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": "/run/netns/x", "CNI_IFNAME": "eth0", "CNI_PATH": "/a:/b"}
}

func parse(env map[string]string, stdin string) (*Request, error) {
	return Parse(func(name string) string { return env[name] }, []byte(stdin))
}

func TestParse(t *testing.T) {
	const conf = `{"cniVersion":"1.1.0","name":"n"}`
	tests := []struct {
		name, key, value, stdin string
		code                    int // 0: good
	}{
		{"good", "", "", conf, 0},
		{"capitals, as containerd writes them", "", "", `{"CNIVersion":"1.1.0","Name":"n","RuntimeConfig":{"IPs":["10.0.0.1"]}}`, 0},
		{"unknown common fields", "", "", `{"cniVersion":"1.1.0","name":"n","x":1}`, 0},
		{"no command", "CNI_COMMAND", "", conf, CodeEnvironment},
		{"wrong command", "CNI_COMMAND", "add", conf, CodeEnvironment},
		{"no id", "CNI_CONTAINERID", "", conf, CodeEnvironment},
		{"id with /", "CNI_CONTAINERID", "a/b", conf, CodeEnvironment},
		{"id begins with -", "CNI_CONTAINERID", "-a", conf, CodeEnvironment},
		{"id of 200", "CNI_CONTAINERID", strings.Repeat("a", 200), conf, 0},
		{"id of 201", "CNI_CONTAINERID", strings.Repeat("a", 201), conf, CodeEnvironment},
		{"no netns", "CNI_NETNS", "", conf, CodeEnvironment},
		{"interface with newline", "CNI_IFNAME", "a\nb", conf, CodeEnvironment},
		{"interface with :", "CNI_IFNAME", "a:b", conf, CodeEnvironment},
		{"args", "CNI_ARGS", "IgnoreUnknown=1;X=y;;", conf, 0},
		{"args of kubernetes", "CNI_ARGS", "K8S_POD_NAME=x", conf, 0},
		{"args unknown", "CNI_ARGS", "X=y", conf, CodeEnvironment},
		{"no JSON", "", "", "x", CodeDecoding},
		{"an array", "", "", "[]", CodeDecoding},
		{"null", "", "", "null", CodeVersion},
		{"version 0.2.0", "", "", `{"cniVersion":"0.2.0","name":"n"}`, CodeVersion},
		{"no name", "", "", `{"cniVersion":"1.1.0"}`, CodeInvalid},
	}
	for _, test := range tests {
		env := good()
		if test.key != "" {
			env[test.key] = test.value
		}
		_, err := parse(env, test.stdin)
		if (err == nil) != (test.code == 0) || err != nil && CodeOf(err) != test.code {
			t.Errorf("%s: %v, code %d, want %d", test.name, err, CodeOf(err), test.code)
		}
	}
}

func TestCommands(t *testing.T) {
	for command, needs := range map[string][]string{"ADD": {"CNI_NETNS", "CNI_CONTAINERID", "CNI_IFNAME"}, "CHECK": {"CNI_NETNS"}, "DEL": {"CNI_CONTAINERID", "CNI_IFNAME"}, "GC": nil, "STATUS": nil, "VERSION": nil} {
		env := good()
		env["CNI_COMMAND"] = command
		for _, name := range []string{"CNI_NETNS", "CNI_CONTAINERID", "CNI_IFNAME"} {
			one := maps.Clone(env)
			delete(one, name)
			_, err := parse(one, `{"cniVersion":"1.1.0","name":"n"}`)
			needed := strings.Contains(strings.Join(needs, " "), name) || command == "CHECK"
			if (err != nil) != needed {
				t.Errorf("%s without %s: %v", command, name, err)
			}
		}
	}
	for command, first := range map[string]string{"CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0", "ADD": "0.3.0"} {
		for _, v := range Versions {
			env := good()
			env["CNI_COMMAND"] = command
			_, err := parse(env, `{"cniVersion":"`+v+`","name":"n"}`)
			if (err == nil) != AtLeast(v, first) {
				t.Errorf("%s in %s: %v", command, v, err)
			}
		}
	}
}

func TestAsked(t *testing.T) {
	env := good()
	env["CNI_ARGS"] = "IP=10.0.0.3,::ffff:10.0.0.4;MAC=02:00:00:00:00:03"
	r, err := parse(env, `{"cniVersion":"1.1.0","name":"n","runtimeConfig":{"ips":["10.0.0.1/24"],"mac":"02:00:00:00:00:01"},"args":{"cni":{"ips":["10.0.0.2"],"mac":"02:00:00:00:00:02"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	ips, err := r.IPs()
	var want []netip.Addr
	for _, s := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"} {
		want = append(want, netip.MustParseAddr(s))
	}
	if err != nil || !reflect.DeepEqual(ips, want) {
		t.Errorf("%v %v", ips, err)
	}
	if where, mac := r.MAC(); where != "runtimeConfig.mac" || mac != "02:00:00:00:00:01" {
		t.Error(where, mac)
	}
}

func TestUnknownKeys(t *testing.T) {
	for object, bad := range map[string]string{
		`{"name":"n","MTU":1,"vlan":0,"x":false,"y":"","z":[],"_c":1,"cni.dev/x":1,"a:b":2}`: "",
		`{"vlan":1}`: "vlan", `{"b":1,"a":1}`: "a", `{"x":{"y":1}}`: "x",
	} {
		read := func(command string) error {
			return (&Request{Command: command, Stdin: []byte(object)}).ReadOwn(func(j *Reader, name string) bool {
				if name == "mtu" {
					j.Skip()
				}
				return name == "mtu"
			})
		}
		if err := read(Del); err != nil {
			t.Errorf("DEL %s: %v", object, err)
		}
		err := read(Add)
		if (err == nil) != (bad == "") || err != nil && (CodeOf(err) != CodeUnsupported || !strings.HasPrefix(err.Error(), bad+":")) {
			t.Errorf("%s: %v", object, err)
		}
	}
}

func TestResultRoundTrip(t *testing.T) {
	two, seven := 2, 7
	r := &Result{
		Interfaces: []Interface{{Name: "br0", MAC: "02:00:00:00:00:01", MTU: 1500}, {Name: "v"}, {Name: "eth0", Sandbox: "/x", MTU: 1400}},
		IPs:        []IP{{Interface: &two, Address: netip.MustParsePrefix("10.0.0.2/24"), Gateway: netip.MustParseAddr("10.0.0.1")}, {Interface: &two, Address: netip.MustParsePrefix("fd00::2/64")}},
		Routes:     []Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), MTU: 1300, Table: &seven}},
		DNS:        DNS{Nameservers: []string{"10.0.0.1"}, Options: []string{"ndots:2"}},
	}
	for _, v := range Versions {
		text := r.Encode(v)
		back, err := ParseResult("x", text)
		if err != nil {
			t.Fatalf("%s: %v", v, err)
		}
		if v == "1.1.0" && !reflect.DeepEqual(back, r) {
			t.Errorf("%s\n%+v\n%+v", text, back, r)
		}
		if back.IPs[1].Address != r.IPs[1].Address || *back.IPs[1].Interface != 2 || !reflect.DeepEqual(back.DNS, r.DNS) {
			t.Errorf("%s: %+v", v, back)
		}
	}
	for _, bad := range []string{`{"ips":[{"address":"10.0.0.1"}]}`, `{"ips":[{}]}`, `{"routes":[{"dst":5}]}`, `x`} {
		if _, err := ParseResult("x", []byte(bad)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
	if back, err := ParseResult("x", []byte(`{"ips":[{"address":"10.0.0.1/8","interface":9}]}`)); err != nil || back.IPs[0].Interface != nil {
		t.Errorf("an index out of range: %v %v", back, err)
	}
}

func TestErrors(t *testing.T) {
	text := EncodeError("0.4.0", Invalid("mtu", "is bad\n"))
	var e map[string]any
	if err := json.Unmarshal(text, &e); err != nil || e["cniVersion"] != "0.4.0" || e["code"] != 7.0 || e["msg"] != `mtu: is bad\n` {
		t.Errorf("%s", text)
	}
	back, ok := ParseError(text)
	if !ok || CodeOf(back) != CodeInvalid || CodeOf(Fail(CodeIO, back)) != CodeInvalid {
		t.Error(back, ok)
	}
	if _, ok := ParseError([]byte(`{"code":1}`)); ok {
		t.Error("an error without a message was read")
	}
}

func TestTag(t *testing.T) {
	long := Attachment{strings.Repeat("x", 200), "eth0"}
	for _, a := range []Attachment{{"c", "eth0"}, long} {
		tag := Tag(strings.Repeat("n", 200), a)
		if len(tag) > maxTag || !OfNetwork(tag, strings.Repeat("n", 200)) || OfNetwork(tag, "n") {
			t.Error(tag)
		}
	}
	stale := Stale("n", []Attachment{{"c", "eth0"}})
	for tag, want := range map[string]bool{"n|c|eth0": false, "n|c|eth1": true, "n|d|eth0": true, "m|c|eth0": false, "": false} {
		if stale(tag) != want {
			t.Errorf("%s: stale %v", tag, !want)
		}
	}
}

func TestHostLink(t *testing.T) {
	seen := map[string]bool{}
	for i := range 20000 {
		name := HostLink("n", Attachment{strconv.Itoa(i), "eth0"})
		if len(name) != 15 || badIfname(name) != "" {
			t.Fatal(name)
		}
		seen[name[:12]] = true
	}
	if len(seen) < 19900 { // the upper 40 bits must differ as well
		t.Errorf("only %d of 20000 names", len(seen))
	}
	if HostLink("n", Attachment{"c", "eth0"}) == HostLink("n", Attachment{"c", "eth1"}) {
		t.Error("interfaces share a name")
	}
}

// What is written must be what encoding/json would write, and what is read must
// be what it would read: everybody else's plugins use it.
func TestAgreesWithEncodingJSON(t *testing.T) {
	type jsonInterface struct {
		Name    string `json:"name"`
		MAC     string `json:"mac,omitempty"`
		MTU     int    `json:"mtu,omitempty"`
		Sandbox string `json:"sandbox,omitempty"`
	}
	type jsonIP struct {
		Version   string       `json:"version,omitempty"`
		Interface *int         `json:"interface,omitempty"`
		Address   netip.Prefix `json:"address"`
		Gateway   netip.Addr   `json:"gateway,omitzero"`
	}
	type jsonRoute struct {
		Dst      netip.Prefix `json:"dst"`
		GW       netip.Addr   `json:"gw,omitzero"`
		MTU      int          `json:"mtu,omitempty"`
		AdvMSS   int          `json:"advmss,omitempty"`
		Priority int          `json:"priority,omitempty"`
		Table    *int         `json:"table,omitempty"`
		Scope    *int         `json:"scope,omitempty"`
	}
	type jsonDNS struct {
		Nameservers []string `json:"nameservers,omitempty"`
		Domain      string   `json:"domain,omitempty"`
		Search      []string `json:"search,omitempty"`
		Options     []string `json:"options,omitempty"`
	}
	type jsonResult struct {
		CNIVersion string          `json:"cniVersion"`
		Interfaces []jsonInterface `json:"interfaces,omitempty"`
		IPs        []jsonIP        `json:"ips,omitempty"`
		Routes     []jsonRoute     `json:"routes,omitempty"`
		DNS        jsonDNS         `json:"dns,omitzero"`
	}
	zero, one, table := 0, 1, 254
	odd := "a\"\\/<&>\t\x01\x7fé\U0001f600"
	full := jsonResult{"1.1.0",
		[]jsonInterface{{"br0", "02:00:00:00:00:01", 1500, "/ns/" + odd}, {Name: odd}},
		[]jsonIP{{"", &one, netip.MustParsePrefix("10.0.0.2/24"), netip.MustParseAddr("10.0.0.1")}, {"", &zero, netip.MustParsePrefix("fd00::2/64"), netip.Addr{}}},
		[]jsonRoute{{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("10.0.0.1"), 1300, 1260, 7, &table, &zero}, {Dst: netip.MustParsePrefix("::/0")}},
		jsonDNS{[]string{"10.0.0.1", odd}, odd, []string{"a", "b"}, []string{"ndots:2"}}}
	for _, want := range []jsonResult{full, {CNIVersion: "1.1.0"}, {CNIVersion: "1.1.0", Interfaces: full.Interfaces[:1], IPs: full.IPs[1:], DNS: jsonDNS{Domain: "d"}}} {
		for _, version := range Versions {
			text, _ := json.Marshal(want)
			r, err := ParseResult("x", text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			var indented strings.Builder
			e := json.NewEncoder(&indented)
			e.SetEscapeHTML(false)
			e.SetIndent("", "    ")
			e.Encode(inVersion(want, version, func(w *jsonResult) {
				w.CNIVersion = version
				for i := range w.Interfaces {
					w.Interfaces[i].MTU = 0
				}
				for i, route := range w.Routes {
					w.Routes[i] = jsonRoute{Dst: route.Dst, GW: route.GW}
				}
			}, func(w *jsonResult) {
				for i, ip := range w.IPs {
					w.IPs[i].Version = map[bool]string{true: "4", false: "6"}[ip.Address.Addr().Is4()]
				}
			}))
			if have := string(r.Encode(version)); have != indented.String() {
				t.Errorf("%s\nhave %s\nwant %s", version, have, indented.String())
			}
		}
	}
}

// inVersion takes from a copy of a result what a version does not have.
func inVersion[T any](all T, version string, before110, before100 func(*T)) (out T) {
	text, _ := json.Marshal(all)
	json.Unmarshal(text, &out)
	if !AtLeast(version, "1.1.0") {
		before110(&out)
	}
	if !AtLeast(version, "1.0.0") {
		before100(&out)
	}
	return out
}

func TestReader(t *testing.T) {
	type all struct {
		S    string
		B    bool
		N    int
		L    []string
		P    *int
		Rest string
	}
	read := func(text string) (a all, err error) {
		err = Read("x", []byte(text), func(j *Reader) {
			j.Object(func(name string) {
				switch name {
				case "s":
					j.String(&a.S)
				case "b":
					j.Bool(&a.B)
				case "n":
					j.Int(&a.N)
				case "l":
					j.Strings(&a.L)
				case "p":
					j.IntPointer(&a.P)
				default:
					j.Skip()
				}
			})
		})
		return a, err
	}
	for _, text := range []string{
		`{}`, `null`, ` { "s" : "a\u00e9\n" , "b":true,"n":-5,"l":["a",null,"b"],"p":0 } `, `{"S":"x","P":null,"L":[],"B":null,"N":null}`,
		`{"s":"first","S":"second","l":["a"],"L":["b"]}`, "{\"s\":\"\xff\"}", `{"\u0073":"escaped name"}`,
		`{"s":1}`, `{"b":"true"}`, `{"n":1.5}`, `{"n":1e3}`, `{"n":99999999999999999999}`, `{"l":"a"}`, `{"l":[1]}`, `{"l":{}}`, `{"p":"1"}`, `[]`, `"x"`, `5`,
		``, ` `, `x`, `{`, `{"s"`, `{"s":}`, `{"s":"a",}`, `{"s":"a"}}`, `{} {}`, `{s:1}`, `{"s":"a" "b":1}`, `{"l":["a"}`, "{\"s\":\"\n\"}", `{"z":[1,{"a":}]}`,
	} {
		var want all
		wantErr := json.Unmarshal([]byte(text), &want)
		have, err := read(text)
		if (err == nil) != (wantErr == nil) || err != nil && CodeOf(err) != CodeDecoding {
			t.Errorf("%s: %v, encoding/json: %v", text, err, wantErr)
		}
		if len(want.L) == 0 {
			want.L = nil
		}
		if err == nil && !reflect.DeepEqual(have, want) {
			t.Errorf("%s: %+v, encoding/json: %+v", text, have, want)
		}
	}
	for text, want := range map[string]string{
		`{"l":["a",{}]}`: "x.l[1]: must not be a JSON object",
		`{"n":1.5}`:      "x.n: must not be a JSON number 1.5",
		`[]`:             "x: must not be a JSON array",
		`{"s":"`:         "x: read the configuration: the text ends too early",
	} {
		if _, err := read(text); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// Whatever comes on standard input: no panic, and an error has a code.
func FuzzParse(f *testing.F) {
	f.Add(`{"cniVersion":"1.1.0","name":"n","ipam":{"type":"host-local"},"prevResult":{"ips":[{"address":"10.0.0.1/8"}]}}`, "IP=10.0.0.1")
	f.Add(`{"runtimeConfig":{"ips":[""]},"cni.dev/valid-attachments":[{}]}`, ";=")
	f.Fuzz(func(t *testing.T, stdin, args string) {
		env := good()
		env["CNI_ARGS"] = args
		r, err := parse(env, stdin)
		if err != nil {
			if CodeOf(err) == CodeKernel || strings.Contains(string(EncodeError(r.Conf.CNIVersion, err)), "\n\n") {
				t.Error(err)
			}
			return
		}
		r.IPs()
		r.MAC()
		r.IPAMType()
		r.ReadOwn(func(*Reader, string) bool { return false })
		ParseResult("prevResult", r.Conf.PrevResult)
	})
}
