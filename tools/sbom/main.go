// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Sbom prints what Go programs consist of as an SPDX 2.3 document in JSON: the
// programs, and the modules that are linked into them, with their checksums. It
// reads what the Go toolchain has put into the files, nothing else, so that the
// same files give the same document.
//
// usage: sbom NAME VERSION CREATED FILE...
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type document struct {
	SPDXVersion       string         `json:"spdxVersion"`
	DataLicense       string         `json:"dataLicense"`
	SPDXID            string         `json:"SPDXID"`
	Name              string         `json:"name"`
	DocumentNamespace string         `json:"documentNamespace"`
	CreationInfo      creation       `json:"creationInfo"`
	Packages          []pack         `json:"packages"`
	Relationships     []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type pack struct {
	SPDXID           string      `json:"SPDXID"`
	Name             string      `json:"name"`
	VersionInfo      string      `json:"versionInfo"`
	DownloadLocation string      `json:"downloadLocation"`
	LicenseConcluded string      `json:"licenseConcluded"`
	Checksums        []checksum  `json:"checksums,omitempty"`
	ExternalRefs     []reference `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type reference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Kind string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: sbom NAME VERSION CREATED FILE...")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func write(name, version, created string, files []string) error {
	d := document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", Name: name + "-" + version,
		DocumentNamespace: "https://github.com/coracle-oci/coracle/sbom/" + name + "-" + version,
		CreationInfo:      creation{Created: created, Creators: []string{"Tool: coracle tools/sbom"}},
	}
	modules := map[string]pack{}
	for _, file := range files {
		program, err := d.add(file, version, modules)
		if err != nil {
			return err
		}
		d.Relationships = append(d.Relationships, relationship{d.SPDXID, "DESCRIBES", program})
	}
	for _, id := range slices.Sorted(maps.Keys(modules)) {
		d.Packages = append(d.Packages, modules[id])
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(d)
}

// add adds a program, and its modules to those of the others.
func (d *document) add(file, version string, modules map[string]pack) (id string, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	sum := sha256.Sum256(data)
	id = ref(filepath.Base(file), version)
	d.Packages = append(d.Packages, pack{SPDXID: id, Name: filepath.Base(file), VersionInfo: version, DownloadLocation: "NOASSERTION",
		LicenseConcluded: "Apache-2.0", Checksums: []checksum{{"SHA256", hex.EncodeToString(sum[:])}}})
	std := pack{SPDXID: ref("std", info.GoVersion), Name: "std", VersionInfo: info.GoVersion, DownloadLocation: "NOASSERTION", LicenseConcluded: "BSD-3-Clause"}
	modules[std.SPDXID] = std
	d.Relationships = append(d.Relationships, relationship{id, "CONTAINS", std.SPDXID})
	for _, m := range info.Deps {
		p := pack{SPDXID: ref(m.Path, m.Version), Name: m.Path, VersionInfo: m.Version, DownloadLocation: "NOASSERTION", LicenseConcluded: "NOASSERTION",
			ExternalRefs: []reference{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + m.Path + "@" + m.Version}}}
		modules[p.SPDXID] = p
		d.Relationships = append(d.Relationships, relationship{id, "CONTAINS", p.SPDXID})
	}
	return id, nil
}

// ref makes an identifier of SPDX: letters, digits, "." and "-".
func ref(name, version string) string {
	return "SPDXRef-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, name+"-"+version)
}
