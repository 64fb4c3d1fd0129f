// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package coracle_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// policy is the import architecture: each package, and what it may import
// besides the standard library ("…/" stands for this module). "pure" packages
// can neither see nor change the world. It is a statement of policy: a build
// that does not fit is changed, not the table.
//
// No arrow runs between runtime, imgmgr and cni-plugins.
const policy = `
internal/fail       pure+syscall :
internal/sys/linux  pure         : golang.org/x/sys/unix
internal/decode     pure         : …/internal/fail github.com/go-json-experiment/json
internal/profile    pure         : …/internal/decode …/internal/fail …/internal/sys/linux github.com/opencontainers/runtime-spec
internal/trace                   :
internal/caller     pure         :
internal/sys                     : …/internal/sys/linux golang.org/x/sys/unix
internal/command                 : …/internal/trace …/internal/fail …/internal/sys
internal/inroot                  : …/internal/sys …/internal/fail …/internal/sys/linux
internal/cninet                  : …/internal/fail
internal/misuse                  : …/internal/command …/internal/fail github.com/spf13/cobra github.com/spf13/pflag
internal/testkit                 : *
specs               pure+embed   :

runtime/prog        pure         : …/internal/sys/linux
runtime/prog/progtest pure       : …/runtime/prog …/internal/sys/linux
runtime/seccomp     pure         : …/internal/fail …/internal/profile github.com/opencontainers/runtime-spec
runtime/config      pure         : …/internal/decode …/internal/fail …/internal/profile …/internal/sys/linux github.com/opencontainers/runtime-spec
runtime/facts       pure         :
runtime/probe                    : …/runtime/facts …/internal/sys …/internal/sys/linux …/internal/fail
runtime/cgroup/resources pure    : …/internal/fail …/internal/sys/linux …/runtime/facts github.com/opencontainers/runtime-spec
runtime/cgroup                   : …/internal/fail …/internal/sys …/internal/sys/linux …/runtime/facts …/runtime/cgroup/resources github.com/opencontainers/runtime-spec
runtime/cgroup/unit pure         : …/internal/fail …/runtime/cgroup/resources …/runtime/dbus …/runtime/facts github.com/opencontainers/runtime-spec
runtime/dbus        pure         :
runtime/systemd                  : …/internal/fail …/internal/sys …/runtime/cgroup/unit …/runtime/dbus …/runtime/facts
runtime/plan        pure         : …/internal/fail …/internal/profile …/internal/sys/linux …/runtime/config …/runtime/facts …/runtime/prog …/runtime/seccomp …/runtime/cgroup/resources …/runtime/cgroup/unit github.com/opencontainers/runtime-spec
runtime/lxc         pure         : …/internal/fail …/runtime/config github.com/opencontainers/runtime-spec
runtime/launch                   : …/internal/caller …/internal/fail …/internal/sys …/internal/sys/linux …/runtime/prog
runtime/selftest                 : …/internal/fail …/internal/sys/linux …/runtime/prog …/runtime/launch …/specs github.com/opencontainers/runtime-spec
runtime/console                  : …/internal/fail …/internal/sys …/internal/sys/linux
runtime/stats                    : …/internal/sys
runtime/container                : …/internal/netlink …/internal/netlink/conn …/internal/trace …/runtime/stats …/internal/fail …/internal/sys …/internal/sys/linux …/runtime/config …/runtime/facts …/runtime/probe …/runtime/prog …/runtime/plan …/runtime/cgroup …/runtime/cgroup/resources …/runtime/cgroup/unit …/runtime/systemd …/runtime/launch …/runtime/console github.com/opencontainers/runtime-spec github.com/go-json-experiment/json
runtime/recorder                 : …/internal/fail …/internal/sys …/internal/sys/linux …/runtime/seccomp
runtime/cli                      : …/internal/cninet …/runtime/recorder …/internal/profile …/runtime/stats …/runtime/cgroup/resources …/internal/fail …/internal/sys …/internal/sys/linux …/internal/command …/specs …/runtime/config …/runtime/seccomp …/runtime/facts …/runtime/probe …/runtime/plan …/runtime/cgroup …/runtime/console …/runtime/container …/runtime/lxc …/runtime/selftest github.com/opencontainers/runtime-spec
runtime/cmd/coracle              : …/internal/command …/runtime/cli

tools/gotest                     :
tools/sbom                       :
tools/man                        : …/runtime/cli …/imgmgr/cli …/cni-plugins/cli …/internal/command github.com/spf13/cobra github.com/spf13/pflag
tools/overlay                    :
tools/syscalls                   :
imgmgr/ref          pure         : …/internal/fail
imgmgr/descriptor   pure         : …/internal/fail github.com/opencontainers/image-spec github.com/opencontainers/go-digest github.com/go-json-experiment/json
imgmgr/layout                    : …/internal/fail …/internal/sys …/internal/inroot …/imgmgr/descriptor github.com/opencontainers/image-spec github.com/opencontainers/go-digest github.com/go-json-experiment/json
imgmgr/entry        pure         :
imgmgr/inflate      pure         :
imgmgr/layer                     : …/internal/fail …/internal/sys …/internal/inroot …/imgmgr/entry …/imgmgr/descriptor …/imgmgr/inflate github.com/opencontainers/go-digest github.com/klauspost/compress
imgmgr/unpack                    : …/specs …/internal/profile …/internal/fail …/internal/sys …/internal/inroot …/imgmgr/entry …/imgmgr/descriptor …/imgmgr/layout …/imgmgr/layer github.com/opencontainers/image-spec github.com/opencontainers/go-digest github.com/opencontainers/runtime-spec github.com/go-json-experiment/json github.com/klauspost/compress
imgmgr/registry                  : …/internal/fail …/imgmgr/ref …/imgmgr/descriptor github.com/opencontainers/image-spec github.com/opencontainers/go-digest github.com/go-json-experiment/json cuelabs.dev/go/oci/ociregistry
imgmgr/copy                      : …/internal/fail …/imgmgr/ref …/imgmgr/descriptor …/imgmgr/layout …/imgmgr/registry github.com/opencontainers/image-spec github.com/opencontainers/go-digest github.com/go-json-experiment/json
imgmgr/serve                     : …/internal/fail …/imgmgr/ref …/imgmgr/descriptor …/imgmgr/layout github.com/opencontainers/image-spec github.com/opencontainers/go-digest cuelabs.dev/go/oci/ociregistry
imgmgr/cli                       : …/internal/cninet …/internal/fail …/internal/command …/internal/misuse …/imgmgr/ref …/imgmgr/descriptor …/imgmgr/layout …/imgmgr/registry …/imgmgr/copy …/imgmgr/serve …/imgmgr/layer …/imgmgr/unpack github.com/opencontainers/image-spec github.com/opencontainers/go-digest github.com/go-json-experiment/json github.com/spf13/cobra github.com/spf13/pflag
imgmgr/cmd/imgmgr                : …/internal/command …/imgmgr/cli

internal/netlink    pure         : …/internal/sys/linux
internal/netlink/conn            : …/internal/fail …/internal/netlink …/internal/sys …/internal/sys/linux
cni-plugins/plugin  pure         : …/internal/fail github.com/go-json-experiment/json
cni-plugins/plan    pure         : …/internal/netlink
cni-plugins/masq    pure         : …/internal/netlink …/internal/sys/linux
cni-plugins/bridge  pure         : …/internal/fail …/internal/netlink …/cni-plugins/plugin …/cni-plugins/plan …/cni-plugins/masq
cni-plugins/ipam    pure         : …/cni-plugins/plugin
cni-plugins/ipam/ledger          : …/internal/fail …/internal/sys …/cni-plugins/plugin …/cni-plugins/ipam
cni-plugins/ipam/delegate        : …/internal/fail …/internal/sys …/cni-plugins/plugin …/cni-plugins/hostlocal
cni-plugins/hostlocal            : …/internal/fail …/cni-plugins/plugin …/cni-plugins/plan …/cni-plugins/ipam …/cni-plugins/ipam/ledger
cni-plugins/netns                : …/internal/sys
cni-plugins/apply                : …/internal/fail …/internal/netlink …/internal/netlink/conn …/internal/sys …/internal/sys/linux …/cni-plugins/plan …/cni-plugins/netns
cni-plugins/loopback             : …/internal/fail …/internal/netlink …/cni-plugins/plugin …/cni-plugins/plan …/cni-plugins/apply …/cni-plugins/netns
cni-plugins/bridge/verbs         : …/internal/fail …/internal/netlink …/internal/netlink/conn …/cni-plugins/plugin …/cni-plugins/plan …/cni-plugins/masq …/cni-plugins/bridge …/cni-plugins/apply …/cni-plugins/netns …/cni-plugins/hostlocal …/cni-plugins/ipam/delegate
cni-plugins/run                  : …/internal/fail …/internal/sys …/internal/command …/cni-plugins/plugin …/cni-plugins/plan …/cni-plugins/netns
cni-plugins/cmd/cni              : …/cni-plugins/plugin …/cni-plugins/plan …/cni-plugins/run …/cni-plugins/netns …/cni-plugins/hostlocal …/cni-plugins/loopback …/cni-plugins/bridge/verbs
cni-plugins/network              : …/internal/fail …/internal/netlink …/internal/netlink/conn …/internal/sys/linux …/cni-plugins/netns …/cni-plugins/masq github.com/containernetworking/cni github.com/opencontainers/runtime-spec
cni-plugins/cli                  : …/internal/sys …/internal/command …/internal/fail …/internal/misuse …/cni-plugins/network github.com/spf13/cobra
cni-plugins/cmd/cninet           : …/internal/command …/cni-plugins/cli
tests/network                    : *
tests/seccomp                    : *

tests/truth                      : *
tests/truth/cases                : *
tests/bench                      : *
tests/mutants                    : *
tests/mutants/probe              : *
`

// pureForbids is the standard packages that a pure package does without.
var pureForbids = []string{"os", "os/exec", "net", "net/http", "time", "unsafe", "syscall", "runtime", "embed", "reflect", "io/fs", "path/filepath"}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImports(t *testing.T) {
	const module = "github.com/coracle-oci/coracle/"
	allowed, pure := map[string][]string{}, map[string][]string{}
	for line := range strings.Lines(policy) {
		left, right, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		fields := strings.Fields(left)
		allowed[fields[0]] = strings.Fields(right)
		if len(fields) > 1 {
			pure[fields[0]] = strings.Split(fields[1], "+")
		}
	}
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		may, ok := allowed[name]
		if len(p.Imports) == 0 {
			continue // nothing but tests
		}
		if !ok {
			t.Errorf("%s is not in the table", name)
			continue
		}
		for _, i := range p.Imports {
			if first, _, _ := strings.Cut(i, "/"); !strings.Contains(first, ".") {
				if pure[name] != nil && slices.Contains(pureForbids, i) && !slices.Contains(pure[name], i) {
					t.Errorf("%s is pure and must not import %s", name, i)
				}
				continue
			}
			i = strings.Replace(i, module, "…/", 1)
			if !slices.ContainsFunc(may, func(a string) bool {
				return a == "*" || a == i || strings.HasPrefix(i, a+"/") && !strings.HasPrefix(a, "…/")
			}) {
				t.Errorf("%s must not import %s", name, i)
			}
		}
	}
}
