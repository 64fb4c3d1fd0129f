// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package descriptor

import (
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/internal/fail"
)

// ParsePlatform returns the platform that "OS/ARCH[/VARIANT]" spells; "ARCH"
// alone means linux. Usual other names (x86_64, aarch64) are understood.
func ParsePlatform(s string) (v1.Platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) == 1 {
		parts = []string{"linux", parts[0]}
	}
	if len(parts) > 3 || slices.Contains(parts, "") {
		return v1.Platform{}, fail.At("platform \""+s+"\"", "is not OS/ARCH or OS/ARCH/VARIANT, as in linux/arm64 or linux/arm/v7")
	}
	p := v1.Platform{OS: strings.ToLower(parts[0]), Architecture: strings.ToLower(parts[1])}
	if len(parts) == 3 {
		p.Variant = strings.ToLower(parts[2])
	}
	return Normalize(p), nil
}

// FormatPlatform spells p as ParsePlatform reads it.
func FormatPlatform(p v1.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// Normalize returns p with the spelling that image-spec has (GOARCH's), and
// without the variant that an architecture has anyhow.
func Normalize(p v1.Platform) v1.Platform {
	switch p.Architecture {
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	case "i386", "i686":
		p.Architecture = "386"
	}
	switch {
	case p.Architecture == "arm64" && (p.Variant == "v8" || p.Variant == "8"),
		p.Architecture == "amd64" && p.Variant == "v1":
		p.Variant = ""
	case p.Architecture == "arm" && p.Variant == "":
		p.Variant = "v7" // what image builders mean by plain "arm"
	case p.Architecture == "arm" && len(p.Variant) == 1:
		p.Variant = "v" + p.Variant
	}
	return p
}

// runsOn returns how well an image for have runs on want: 0 not at all, higher
// is better. A CPU runs older variants of its architecture, and the newest of
// those is best.
func runsOn(want, have v1.Platform) int {
	want, have = Normalize(want), Normalize(have)
	if want.OS != have.OS || want.Architecture != have.Architecture {
		return 0
	}
	if want.Variant == have.Variant {
		return 100
	}
	w, h := level(want.Variant), level(have.Variant)
	if h > w || h < 0 || w < 0 {
		return 0
	}
	return 1 + h
}

// level orders the variants of arm and amd64: "" 0, "v7" 7; -1 for others.
func level(variant string) int {
	if variant == "" {
		return 0
	}
	if len(variant) == 2 && variant[0] == 'v' && variant[1] >= '0' && variant[1] <= '9' {
		return int(variant[1] - '0')
	}
	return -1
}

// Select returns the manifest of an index that runs best on a platform. The
// first of equals wins, as image-spec says. Attestations and other artifacts
// (platform unknown/unknown) are never chosen, and an index whose only manifest
// names no platform is that manifest.
func Select(where string, x v1.Index, want v1.Platform) (v1.Descriptor, error) {
	var best v1.Descriptor
	score, has := 0, []string{}
	for _, d := range x.Manifests {
		if k := KindOf(d.MediaType); k != KindManifest && k != KindIndex {
			continue
		}
		if d.Platform == nil {
			if len(x.Manifests) == 1 {
				return d, nil
			}
			continue
		}
		if s := FormatPlatform(*d.Platform); len(has) < 20 && s != "unknown/unknown" && !slices.Contains(has, s) {
			has = append(has, s)
		}
		if s := runsOn(want, *d.Platform); s > score {
			best, score = d, s
		}
	}
	if score == 0 {
		e := &fail.Error{Where: where, Err: &NotFoundError{"has no image for platform " + FormatPlatform(want)}}
		if len(has) > 0 {
			e.Hint = "it has " + strings.Join(has, ", ") + "; choose one with --platform"
		}
		return v1.Descriptor{}, e
	}
	return best, nil
}
