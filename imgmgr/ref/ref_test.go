// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package ref

import (
	"strings"
	"testing"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParse(t *testing.T) {
	for _, c := range []struct {
		have string
		want Ref
		host string
	}{
		{"busybox", Ref{Name: "busybox", Tag: "latest"}, ""},
		{"busybox:1.36", Ref{Name: "busybox", Tag: "1.36"}, ""},
		{"user/app", Ref{Name: "user/app", Tag: "latest"}, ""},
		{"localhost/x", Ref{Name: "localhost/x", Tag: "latest"}, "localhost"},
		{"127.0.0.1:5000/a/b:c", Ref{Name: "127.0.0.1:5000/a/b", Tag: "c"}, "127.0.0.1:5000"},
		{"localhost:5000/a", Ref{Name: "localhost:5000/a", Tag: "latest"}, "localhost:5000"},
		{"[::1]:5000/a", Ref{Name: "[::1]:5000/a", Tag: "latest"}, "[::1]:5000"},
		{"[fe80::1]/a", Ref{Name: "[fe80::1]/a", Tag: "latest"}, "[fe80::1]"},
		{"Host/a", Ref{Name: "Host/a", Tag: "latest"}, "Host"},
		{"a@" + digest, Ref{Name: "a", Digest: digest}, ""},
		{"r.example/a:t@" + digest, Ref{Name: "r.example/a", Tag: "t", Digest: digest}, "r.example"},
		{"a__b/c--d/e.f", Ref{Name: "a__b/c--d/e.f", Tag: "latest"}, ""},
		{"docker://busybox", Ref{Transport: Registry, Name: "docker.io/library/busybox", Tag: "latest"}, "docker.io"},
		{"docker://user/app:1", Ref{Transport: Registry, Name: "docker.io/user/app", Tag: "1"}, "docker.io"},
		{"docker://h:1/app", Ref{Transport: Registry, Name: "h:1/app", Tag: "latest"}, "h:1"},
		{"oci:dir", Ref{Transport: Layout, Path: "dir"}, ""},
		{"oci:/a b/c:v1", Ref{Transport: Layout, Path: "/a b/c", Tag: "v1"}, ""},
		{"oci:dir:r.example/a:v1", Ref{Transport: Layout, Path: "dir", Tag: "r.example/a:v1"}, ""},
		{"oci-archive:f.tar:x", Ref{Transport: OCIArchive, Path: "f.tar", Tag: "x"}, ""},
		{"docker-archive:f.tar:a/b:c", Ref{Transport: DockerArchive, Path: "f.tar", Tag: "a/b:c"}, ""},
		{"a:" + strings.Repeat("t", 128), Ref{Name: "a", Tag: strings.Repeat("t", 128)}, ""},
	} {
		t.Run(c.have, func(t *testing.T) {
			got, err := Parse(c.have)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if got.Host() != c.host {
				t.Errorf("host %q, want %q", got.Host(), c.host)
			}
			if again, err := Parse(got.String()); err != nil || again != got {
				t.Errorf("%q: %+v, %v", got.String(), again, err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ have, want string }{
		{"", "is empty"},
		{"Busybox", "component"},
		{"a//b", "component"},
		{"/a", "component"},
		{"a/", "component"},
		{"../../etc", "registry"},
		{"a/../b", "component"},
		{"a..b", "component"},
		{"a___b", "component"},
		{"-a", "component"},
		{"a-", "component"},
		{"a\nb", "component"},
		{"a:", "tag"},
		{"a:.x", "tag"},
		{"a:b/c:d e", "tag"},
		{"a:" + strings.Repeat("t", 129), "tag"},
		{"a@sha256:ab", "digest"},
		{"a@" + strings.ToUpper(digest), "digest"},
		{"a@md5:0123456789abcdef0123456789abcdef", "digest"},
		{"a@sha256:../../../../etc/passwd", "digest"},
		{"h:0/a", "registry"},
		{"h:99999/a", "registry"},
		{"h:+1/a", "registry"},
		{"-h.x/a", "registry"},
		{"[::1/a", "registry"},
		{strings.Repeat("a", 256), "longer"},
		{"http://h/a", "transport"},
		{"oci", "transport"},
		{"oci:", "path"},
		{"oci::x", "path"},
		{"oci:d:", "tag"},
		{"oci:d:../../evil", "tag"},
		{"oci-archive:", "path"},
		{"docker://", "is empty"},
	} {
		t.Run(c.have, func(t *testing.T) {
			got, err := Parse(c.have)
			if err == nil {
				t.Fatalf("accepted as %+v", got)
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q does not say %q in one line", err, c.want)
			}
		})
	}
}

func TestStoreName(t *testing.T) {
	for have, want := range map[string]string{
		"a":                   "a:latest",
		"a:b@" + digest:       "a:b",
		"a@" + digest:         "a@" + digest,
		"docker://h.x/a":      "h.x/a:latest",
		"oci:dir:tag":         "",
		"docker-archive:file": "",
	} {
		r, err := Parse(have)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.StoreName(); got != want || got != "" && !ValidLabel(got) {
			t.Errorf("%s: %q, want %q", have, got, want)
		}
	}
}

func TestAtRegistry(t *testing.T) {
	short, _ := Parse("busybox")
	if _, err := short.AtRegistry(); err == nil || !strings.Contains(err.Error(), "names no registry") {
		t.Errorf("short name: %v", err)
	}
	full, _ := Parse("localhost/busybox")
	if r, err := full.AtRegistry(); err != nil || r.Transport != Registry || r.Repository() != "busybox" {
		t.Errorf("%+v, %v", r, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a", "a:b", "h:1/a@" + digest, "oci:d:t", "docker://x", "[::1]:5/x", "a__b--c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(r.String())
		if err != nil || again != r {
			t.Fatalf("%q → %+v → %q → %+v, %v", s, r, r.String(), again, err)
		}
		if n := r.StoreName(); n != "" && !ValidLabel(n) {
			t.Fatalf("store name %q is not a valid ref.name", n)
		}
		if strings.Contains(r.Name, "..") || strings.ContainsRune(r.Path, 0) {
			t.Fatalf("unsafe %+v", r)
		}
	})
}
