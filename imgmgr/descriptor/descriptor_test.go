// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package descriptor

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	hexA = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	sumA = "sha256:" + hexA
	desc = `{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"` + sumA + `","size":3}`
)

func manifest(members string) string {
	return `{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + sumA + `","size":2}` + members + `}`
}

func wantInvalid(t *testing.T, err error, say string) {
	t.Helper()
	if _, ok := errors.AsType[*InvalidError](err); !ok || !strings.Contains(err.Error(), say) {
		t.Errorf("error is %v, want an InvalidError that says %q", err, say)
	}
	if err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000) {
		t.Errorf("error is not one short line: %q", err)
	}
}

func TestParseManifest(t *testing.T) {
	m, err := ParseManifest("x", v1.MediaTypeImageManifest, []byte(manifest(`,"layers":[`+desc+`],"annotations":{"a":"b"},"unknown":{"x":[1]}`)))
	if err != nil || len(m.Layers) != 1 || m.Layers[0].Size != 3 || m.Config.Digest != sumA || m.Annotations["a"] != "b" {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err = ParseManifest("x", DockerManifest, []byte(manifest(`,"mediaType":"`+DockerManifest+`","layers":[]`))); err != nil || len(m.Layers) != 0 {
		t.Errorf("docker: %+v, %v", m, err)
	}
}

// TestParseManifestRefuses is the hostile documents: each means, or could mean,
// different things to different readers, or is too much.
func TestParseManifestRefuses(t *testing.T) {
	for _, c := range []struct{ name, have, want string }{
		{"empty", ``, "not valid"},
		{"null", `null`, "schemaVersion"},
		{"array", `[]`, "not valid"},
		{"not JSON", `<html>`, "not valid"},
		{"truncated", manifest(``)[:50], "not valid"},
		{"byte order mark", "\ufeff" + manifest(`,"layers":[]`), "not valid"},
		{"trailing value", manifest(`,"layers":[]`) + `{}`, "not valid"},
		{"trailing word", manifest(`,"layers":[]`) + ` x`, "not valid"},
		{"two layers members", manifest(`,"layers":[],"layers":[` + desc + `]`), "duplicate"},
		{"two config members", manifest(`,"config":{}`), "duplicate"},
		{"duplicate in the unknown", manifest(`,"layers":[],"x":{"a":1,"a":2}`), "duplicate"},
		{"invalid UTF-8", manifest(`,"layers":[],"annotations":{"a":"` + "\xff" + `"}`), "not valid"},
		{"deep", manifest(`,"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)), "not valid"},
		{"index too", manifest(`,"layers":[],"manifests":[]`), "both"},
		{"schema 1", `{"schemaVersion":1,"fsLayers":[]}`, "schema 1"},
		{"no schema version", `{"layers":[]}`, "schemaVersion"},
		{"another media type", manifest(`,"mediaType":"` + v1.MediaTypeImageIndex + `","layers":[]`), "mediaType"},
		{"no config", `{"schemaVersion":2,"layers":[]}`, "config digest"},
		{"size negative", manifest(`,"layers":[{"mediaType":"x","digest":"` + sumA + `","size":-1}]`), "layers[0] size"},
		{"size fraction", manifest(`,"layers":[{"mediaType":"x","digest":"` + sumA + `","size":1.5}]`), "/layers/0/size"},
		{"size overflow", manifest(`,"layers":[{"mediaType":"x","digest":"` + sumA + `","size":9223372036854775808}]`), "/layers/0/size"},
		{"size string", manifest(`,"layers":[{"mediaType":"x","digest":"` + sumA + `","size":"3"}]`), "/layers/0/size"},
		{"digest is a path", manifest(`,"layers":[{"mediaType":"x","digest":"sha256:../../../../etc/passwd","size":1}]`), "layers[0] digest"},
		{"digest short", manifest(`,"layers":[{"mediaType":"x","digest":"sha256:ab","size":1}]`), "layers[0] digest"},
		{"digest upper case", manifest(`,"layers":[{"mediaType":"x","digest":"sha256:` + strings.ToUpper(hexA) + `","size":1}]`), "layers[0] digest"},
		{"digest md5", manifest(`,"layers":[{"mediaType":"x","digest":"md5:` + hexA[:32] + `","size":1}]`), "layers[0] digest"},
		{"digest missing", manifest(`,"layers":[{"mediaType":"x","size":1}]`), "layers[0] digest"},
		{"media type missing", manifest(`,"layers":[{"digest":"` + sumA + `","size":1}]`), "mediaType"},
		{"data disagrees", manifest(`,"layers":[{"mediaType":"x","digest":"` + sumA + `","size":3,"data":"YWJj"}]`), "data"},
		{"subject", manifest(`,"layers":[],"subject":{"mediaType":"x","digest":"nope","size":1}`), "subject"},
		{"too large", manifest(`,"layers":[],"annotations":{"a":"` + strings.Repeat("a", MaxManifest) + `"}`), "limit"},
		{"too many layers", manifest(`,"layers":[` + strings.Repeat(desc+",", MaxLayers) + desc + `]`), "layers, the limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseManifest("image", v1.MediaTypeImageManifest, []byte(c.have))
			wantInvalid(t, err, c.want)
		})
	}
	_, err := ParseManifest("image", v1.MediaTypeImageIndex, []byte(manifest(``)))
	wantInvalid(t, err, "media type")
}

// TestCaseExact: encoding/json would let "Layers" replace "layers".
func TestCaseExact(t *testing.T) {
	m, err := ParseManifest("x", v1.MediaTypeImageManifest, []byte(manifest(`,"layers":[`+desc+`],"Layers":[],"LAYERS":[],"Config":{}`)))
	if err != nil || len(m.Layers) != 1 || m.Config.Digest != sumA {
		t.Errorf("%+v, %v", m, err)
	}
	c, err := ParseConfig("x", []byte(`{"architecture":"amd64","Architecture":"evil","os":"linux","config":{"User":"app","user":"root"},"rootfs":{"type":"layers","diff_ids":[]}}`))
	if err != nil || c.Architecture != "amd64" || c.Config.User != "app" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestParseIndex(t *testing.T) {
	x, err := ParseIndex("x", v1.MediaTypeImageIndex, []byte(`{"schemaVersion":2,"manifests":[`+desc+`]}`))
	if err != nil || len(x.Manifests) != 1 {
		t.Errorf("%+v, %v", x, err)
	}
	for have, want := range map[string]string{
		`{"schemaVersion":2,"manifests":[],"layers":[]}`:                            "both",
		`{"schemaVersion":2,"manifests":[],"config":{}}`:                            "both",
		manifest(`,"layers":[]`):                                                    "manifest",
		`{"schemaVersion":1}`:                                                       "schemaVersion",
		`{"schemaVersion":2,"manifests":[{"mediaType":"x","size":1,"digest":"x"}]}`: "manifests[0] digest",
	} {
		_, err := ParseIndex("x", v1.MediaTypeImageIndex, []byte(have))
		wantInvalid(t, err, want)
	}
}

func TestParseConfig(t *testing.T) {
	c, err := ParseConfig("x", []byte(`{"created":"2024-01-02T03:04:05Z","architecture":"arm","variant":"v7","os":"linux","os.version":"1","config":{"Env":["A=b"],"ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Test":["CMD"]}},"rootfs":{"type":"layers","diff_ids":["`+sumA+`"]},"history":[{"created_by":"x","empty_layer":true}]}`))
	if err != nil || c.Variant != "v7" || c.OSVersion != "1" || len(c.RootFS.DiffIDs) != 1 || !c.History[0].EmptyLayer || c.Created.Year() != 2024 {
		t.Errorf("%+v, %v", c, err)
	}
	for have, want := range map[string]string{
		`{"rootfs":{"diff_ids":["sha256:ab"]}}`:             "diff_ids[0]",
		`{"config":{"Env":"A=b"}}`:                          "/config/Env",
		`{"created":"yesterday"}`:                           "/created",
		strings.Repeat(" ", MaxConfig) + `{}`:               "limit",
		`{"architecture":"amd64"}{"architecture":"amd64"}`:  "not valid",
		`{"architecture":"amd64","architecture":"riscv64"}`: "duplicate",
	} {
		_, err := ParseConfig("x", []byte(have))
		wantInvalid(t, err, want)
	}
}

func TestCheckImage(t *testing.T) {
	m, c := v1.Manifest{Config: v1.Descriptor{MediaType: v1.MediaTypeImageConfig}}, v1.Image{}
	if err := CheckImage("x", m, c); err != nil {
		t.Error(err)
	}
	c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, sumA, sumA)
	m.Layers = []v1.Descriptor{{MediaType: v1.MediaTypeImageLayer}}
	wantInvalid(t, CheckImage("x", m, c), "diff_ids")
	c.RootFS.DiffIDs = c.RootFS.DiffIDs[:1]
	m.Layers[0].MediaType = "application/x-evil"
	wantInvalid(t, CheckImage("x", m, c), "x-evil")
	m.Config.MediaType = "application/vnd.cncf.helm.config.v1+json"
	wantInvalid(t, CheckImage("x", m, c), "artifact")
}

func TestVerify(t *testing.T) {
	d := Of("x", []byte("abc"))
	if err := Verify("x", d, []byte("abc")); err != nil {
		t.Error(err)
	}
	wantInvalid(t, Verify("x", d, []byte("abd")), string(d.Digest))
	d.Size = 4
	wantInvalid(t, Verify("x", d, []byte("abc")), "3 bytes")
	wantInvalid(t, Verify("x", v1.Descriptor{Digest: "sha999:zz"}, nil), "digest")
}

func TestPlatforms(t *testing.T) {
	for have, want := range map[string]string{
		"linux/amd64": "linux/amd64", "amd64": "linux/amd64", "linux/x86_64": "linux/amd64", "linux/aarch64": "linux/arm64",
		"linux/arm64/v8": "linux/arm64", "linux/arm": "linux/arm/v7", "linux/arm/6": "linux/arm/v6", "armhf": "linux/arm/v7", "Linux/AMD64": "linux/amd64", "linux/amd64/v3": "linux/amd64/v3",
	} {
		if p, err := ParsePlatform(have); err != nil || FormatPlatform(p) != want {
			t.Errorf("%s: %v, %v; want %s", have, p, err, want)
		}
	}
	for _, bad := range []string{"", "/", "linux/", "a/b/c/d"} {
		if p, err := ParsePlatform(bad); err == nil {
			t.Errorf("%q was accepted as %v", bad, p)
		}
	}
}

func TestSelect(t *testing.T) {
	var x v1.Index
	for i, s := range []string{"unknown/unknown", "linux/amd64", "linux/amd64/v3", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8", "windows/amd64", "linux/amd64"} {
		os, rest, _ := strings.Cut(s, "/")
		arch, variant, _ := strings.Cut(rest, "/")
		x.Manifests = append(x.Manifests, v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Size: int64(i), Platform: &v1.Platform{OS: os, Architecture: arch, Variant: variant}})
	}
	for want, n := range map[string]int64{
		"linux/amd64": 1, "linux/amd64/v2": 1, "linux/amd64/v3": 2, "linux/amd64/v4": 2, "linux/arm/v6": 3, "linux/arm/v7": 4, "linux/arm": 4, "linux/arm64": 5, "windows/amd64": 6,
	} {
		p, _ := ParsePlatform(want)
		if d, err := Select("x", x, p); err != nil || d.Size != n {
			t.Errorf("%s: manifest %d, %v; want %d", want, d.Size, err, n)
		}
	}
	for _, none := range []string{"linux/arm/v5", "linux/riscv64", "unknown/other"} {
		p, _ := ParsePlatform(none)
		if d, err := Select("x", x, p); !isNotFound(err) {
			t.Errorf("%s: manifest %d, %v; want a NotFoundError", none, d.Size, err)
		}
	}
	if _, err := Select("x", v1.Index{}, v1.Platform{}); !isNotFound(err) {
		t.Errorf("empty: %v", err)
	}
	one := v1.Index{Manifests: []v1.Descriptor{{MediaType: v1.MediaTypeImageManifest, Size: 7}}}
	if d, err := Select("x", one, v1.Platform{OS: "linux", Architecture: "amd64"}); err != nil || d.Size != 7 {
		t.Errorf("no platforms: %v, %v", d, err)
	}
}

func isNotFound(err error) bool {
	_, ok := errors.AsType[*NotFoundError](err)
	return ok
}

func TestSniff(t *testing.T) {
	for have, want := range map[string]string{
		manifest(`,"layers":[]`):               v1.MediaTypeImageManifest,
		`{"schemaVersion":2,"manifests":[]}`:   v1.MediaTypeImageIndex,
		`{"mediaType":"` + DockerList + `"}`:   DockerList,
		`{"mediaType":"application/x-what"}`:   "",
		`{"config":{},"manifests":[]}`:         "",
		`{"architecture":"amd64"}`:             "",
		`{"config":{"Env":[]},"rootfs":{}} {}`: "",
		``:                                     "",
	} {
		if got := Sniff([]byte(have)); got != want {
			t.Errorf("%s: %q, want %q", have, got, want)
		}
	}
}

func TestKinds(t *testing.T) {
	for mediaType, want := range map[string]Kind{
		v1.MediaTypeImageIndex: KindIndex, DockerList: KindIndex, v1.MediaTypeImageManifest: KindManifest, DockerManifest: KindManifest,
		v1.MediaTypeImageConfig: KindConfig, DockerConfig: KindConfig, v1.MediaTypeImageLayerZstd: KindLayer, DockerLayerGzip: KindLayer,
		DockerForeignLayer: KindLayer, "application/json": KindOther, "": KindOther,
	} {
		if got := KindOf(mediaType); got != want {
			t.Errorf("%q: %s, want %s", mediaType, got, want)
		}
	}
}

// FuzzParse: no document makes the parser panic, and what it accepts has valid
// digests and sizes only.
func FuzzParse(f *testing.F) {
	f.Add([]byte(manifest(`,"layers":[` + desc + `]`)))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[` + desc + `]}`))
	f.Add([]byte(`{"rootfs":{"diff_ids":["` + sumA + `"]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		Sniff(data)
		var all []v1.Descriptor
		if m, err := ParseManifest("x", v1.MediaTypeImageManifest, data); err == nil {
			all = append(append(all, m.Config), m.Layers...)
		}
		if x, err := ParseIndex("x", v1.MediaTypeImageIndex, data); err == nil {
			all = append(all, x.Manifests...)
		}
		if c, err := ParseConfig("x", data); err == nil {
			for _, d := range c.RootFS.DiffIDs {
				all = append(all, v1.Descriptor{Digest: d})
			}
		}
		for _, d := range all {
			if err := d.Digest.Validate(); err != nil || d.Size < 0 {
				t.Fatal(fmt.Sprint(d), err)
			}
		}
	})
}
