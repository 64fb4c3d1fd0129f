// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/profile"
	"github.com/coracle-oci/coracle/runtime/config"
)

func featuresVerb() command.Verb {
	return command.Verb{
		Name:    "features",
		Summary: "print what this build supports, as JSON",
		Long: `
The answer is the features structure of the OCI runtime specification
(features.md). It depends on the build alone, not on the machine: a kernel may
still lack something.

example:
  coracle features | jq .linux.cgroup

exit status:
  0  always`,
		Run: func(*command.Call) error {
			_, err := os.Stdout.WriteString(featuresJSON())
			return err
		},
	}
}

// featuresJSON returns the features JSON: features.md and features-linux.md. A
// property that is null or missing would say "unknown", so each is there.
//
// It is text and not an encoded value, because an encoder costs every start of
// the program, and this verb is called once per engine.
func featuresJSON() string {
	return fmt.Sprintf(featuresText,
		list(hookKinds), list(config.MountOptions()), list(config.Namespaces()), list(config.Capabilities()),
		list(profile.Actions()), list(profile.Operators()), list(profile.Architectures()), list(profile.Flags()), list(profile.Flags()),
		list(config.MemoryModes()), list(config.MemoryFlags()),
		strconv.Quote(command.Version), strconv.Quote(command.Commit()))
}

// hookKinds are all of config.md, in the order in which they run.
var hookKinds = []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}

const featuresText = `{
  "ociVersionMin": "1.0.0",
  "ociVersionMax": "1.3.0",
  "hooks": %s,
  "mountOptions": %s,
  "linux": {
    "namespaces": %s,
    "capabilities": %s,
    "cgroup": {"v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true},
    "seccomp": {
      "enabled": true,
      "actions": %s,
      "operators": %s,
      "archs": %s,
      "knownFlags": %s,
      "supportedFlags": %s
    },
    "apparmor": {"enabled": true},
    "selinux": {"enabled": true},
    "intelRdt": {"enabled": true, "schemata": true, "monitoring": true},
    "memoryPolicy": {"modes": %s, "flags": %s},
    "mountExtensions": {"idmap": {"enabled": true}},
    "netDevices": {"enabled": true}
  },
  "annotations": {
    "io.github.coracle-oci.version": %s,
    "io.github.coracle-oci.commit": %s
  },
  "potentiallyUnsafeConfigAnnotations": ["org.systemd.property.", "run.oci.delegate-cgroup", "run.oci.hooks.stderr", "run.oci.hooks.stdout", "run.oci.keep_original_groups", "run.oci.mount_context_type", "run.oci.pidfd_receiver", "run.oci.systemd.subgroup"]
}
`

// list returns words, which need no escapes, as a JSON list.
func list(words []string) string { return `["` + strings.Join(words, `", "`) + `"]` }
