// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/serve"
	"github.com/coracle-oci/coracle/internal/command"
)

// A session runs command lines over one store.
type session struct {
	t     *testing.T
	store string
}

// run runs a command line and returns exit status, answer and conversation.
func (s session) run(args ...string) (status int, stdout, stderr string) {
	s.t.Helper()
	var out, conversation bytes.Buffer
	err := Run(append([]string{"--store", s.store}, args...), &out, &conversation)
	switch exit, ok := errors.AsType[*command.ExitError](err); {
	case err == nil:
	case ok:
		status = exit.Code
		conversation.WriteString(exit.Error())
	default:
		status = 1
		conversation.WriteString(err.Error())
	}
	return status, out.String(), conversation.String()
}

// ok runs a command line that must succeed and returns its answer.
func (s session) ok(args ...string) string {
	s.t.Helper()
	status, out, conversation := s.run(args...)
	if status != 0 {
		s.t.Fatalf("imgmgr %s: status %d: %s", strings.Join(args, " "), status, conversation)
	}
	return out
}

// newSession makes a store with the image "app:1" for two platforms, and a
// registry over another one.
func newSession(t *testing.T) (session, string) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	dir := t.TempDir()
	l, err := layout.Create(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	write := func(mediaType string, v any) v1.Descriptor {
		content, ok := v.([]byte)
		if !ok {
			content, _ = json.Marshal(v)
		}
		d, err := l.WriteBlob(mediaType, content)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	x := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}
	for _, arch := range []string{"amd64", "arm64"} {
		layer := write(v1.MediaTypeImageLayer, []byte("layer for "+arch))
		p := v1.Platform{OS: "linux", Architecture: arch}
		config := write(v1.MediaTypeImageConfig, v1.Image{Platform: p, Config: v1.ImageConfig{Env: []string{"A=<b>"}}, RootFS: v1.RootFS{Type: "layers", DiffIDs: append(v1.RootFS{}.DiffIDs, layer.Digest)}})
		d := write(v1.MediaTypeImageManifest, v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: config, Layers: []v1.Descriptor{layer}})
		d.Platform = &p
		x.Manifests = append(x.Manifests, d)
	}
	if err := l.Tag("app:1", write(x.MediaType, x)); err != nil {
		t.Fatal(err)
	}
	served, err := layout.Create(filepath.Join(dir, "served"))
	if err != nil {
		t.Fatal(err)
	}
	handler, end := serve.Handler(served, serve.Options{})
	server := httptest.NewServer(handler)
	t.Cleanup(func() { server.Close(); end(); served.Close() })
	return session{t, l.Path()}, strings.TrimPrefix(server.URL, "http://")
}

// TestExitStatuses: what goes wrong has a class, and one line.
func TestExitStatuses(t *testing.T) {
	s, address := newSession(t)
	bad := filepath.Join(t.TempDir(), "bad.tar")
	if err := os.WriteFile(bad, []byte("not a tar at all, but long enough to be looked at"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		args   []string
		status int
		say    string
	}{
		{"unknown verb", []string{"bogus"}, 2, "unknown command"},
		{"unknown flag", []string{"pull", "--bogus", "x"}, 2, "unknown flag"},
		{"no argument", []string{"pull"}, 2, "arg"},
		{"bad reference", []string{"pull", "UPPER//x"}, 2, "UPPER//x"},
		{"bad platform", []string{"pull", "--platform", "a/b/c/d", "h.example/x"}, 2, "a/b/c/d"},
		{"short name", []string{"pull", "busybox"}, 2, "names no registry"},
		{"flags that exclude each other", []string{"pull", "--all", "--platform", "arm64", "x/y"}, 2, "all"},
		{"bad format", []string{"ls", "--format", "xml"}, 2, "xml"},
		{"rm of a file", []string{"rm", "oci:dir"}, 2, "oci:dir"},
		{"rm in a registry", []string{"rm", "docker://h.example/app:1"}, 2, "the store only"},
		{"not in the store", []string{"inspect", "nope"}, 3, "nope:latest"},
		{"tag of nothing", []string{"tag", "nope", "new"}, 3, "nope:latest"},
		{"tag of another digest", []string{"tag", "app:1@sha256:" + strings.Repeat("0", 64), "new"}, 3, "another digest"},
		{"tag in a registry", []string{"tag", "app:1", "docker://h.example/x"}, 2, "the store only"},
		{"tag with a digest", []string{"tag", "app:1", "new@sha256:" + strings.Repeat("0", 64)}, 2, "the store only"},
		{"import of no tar", []string{"import", bad, "x"}, 4, "not a tar"},
		{"rm of nothing", []string{"rm", "nope"}, 3, "nope:latest"},
		{"not in the registry", []string{"pull", "--insecure", address + "/nope"}, 3, "404"},
		{"no such layout", []string{"inspect", "oci:" + t.TempDir() + "/nope"}, 3, "no such OCI layout"},
		{"no such archive", []string{"pull", "oci-archive:/nonexistent/x", "x"}, 3, "no such archive"},
		{"no such platform", []string{"inspect", "--platform", "riscv64", "app:1"}, 3, "linux/riscv64"},
		{"another digest", []string{"inspect", "app:1@sha256:" + strings.Repeat("0", 64)}, 3, "another digest"},
		{"not a tar", []string{"pull", "docker-archive:" + bad, "x"}, 4, "not a tar"},
		{"not a layout", []string{"inspect", "oci:" + t.TempDir()}, 4, "not an OCI layout"},
		{"HTTPS expected", []string{"pull", address + "/app:1"}, 1, "HTTP response to HTTPS"},
		{"no name", []string{"pull", "oci:" + s.store}, 2, "no name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "no name" {
				l, err := layout.Open(s.store)
				if err != nil {
					t.Fatal(err)
				}
				d, _ := l.Resolve("app:1")
				other, _ := layout.Create(filepath.Join(t.TempDir(), "plain"))
				data, _ := l.ReadBlob(d, 1<<20)
				other.WriteBlob(d.MediaType, data)
				other.Tag("v1", d)
				l.Close()
				c.args = []string{"pull", "oci:" + other.Path()}
				other.Close()
			}
			status, out, conversation := s.run(c.args...)
			if status != c.status || !strings.Contains(conversation, c.say) {
				t.Errorf("status %d, want %d and %q: %s", status, c.status, c.say, conversation)
			}
			if out != "" || strings.Contains(strings.TrimSuffix(conversation, "\n"), "\n") {
				t.Errorf("answer %q; conversation is not one line: %q", out, conversation)
			}
		})
	}
}

// TestJourney takes an image through every kind of place and back.
func TestJourney(t *testing.T) {
	s, address := newSession(t)
	want := strings.TrimSpace(s.ok("push", "--insecure", "app:1", "docker://"+address+"/a/app:1"))
	if !strings.HasPrefix(want, "sha256:") {
		t.Fatalf("push answers %q", want)
	}
	other := session{t, filepath.Join(t.TempDir(), "other")}
	if plan := other.ok("pull", "--insecure", "--all", "--dry-run", address+"/a/app:1"); strings.Count(plan, "copy") != 7 {
		t.Errorf("plan:\n%s", plan)
	}
	if _, err := os.Stat(other.store); err == nil {
		t.Errorf("a dry run made %s", other.store)
	}
	if got := strings.TrimSpace(other.ok("pull", "--insecure", "--all", address+"/a/app:1")); got != want {
		t.Errorf("pulled %s, want %s", got, want)
	}
	archive := filepath.Join(t.TempDir(), "app.tar")
	if got := strings.TrimSpace(other.ok("export", "--all", address+"/a/app:1", archive)); got != want {
		t.Errorf("exported %s, want %s", got, want)
	}
	third := session{t, filepath.Join(t.TempDir(), "third")}
	if got := strings.TrimSpace(third.ok("pull", "--all", "oci-archive:"+archive)); got != want {
		t.Errorf("the archive has %s, want %s", got, want)
	}
	dir := filepath.Join(t.TempDir(), "dir")
	if got := strings.TrimSpace(third.ok("push", address+"/a/app:1", "oci:"+dir+":v2")); got != want {
		t.Errorf("the layout got %s, want %s", got, want)
	}
	one := strings.TrimSpace(third.ok("pull", "--platform", "arm64", "oci:"+dir+":v2", "arm:1"))
	third.ok("export", "arm:1", "docker-archive:"+archive)
	if got := third.ok("pull", "docker-archive:"+archive); one == "" || got == "" {
		t.Error("no digest")
	}
	if got := third.ok("ls"); !strings.Contains(got, "arm:1") || !strings.Contains(got, "linux/arm64") {
		t.Errorf("ls:\n%s", got)
	}
	// From one registry name to another: through the store, which keeps no name.
	if got := strings.TrimSpace(third.ok("push", "--insecure", "docker://"+address+"/a/app:1", "docker://"+address+"/b/app:1")); got != want {
		t.Errorf("copied %s, want %s", got, want)
	}
	for _, name := range []string{address + "/a/app:1", "arm:1"} {
		third.ok("rm", name)
	}
	third.ok("gc")
	if got := third.ok("gc", "--format", "json"); !strings.Contains(got, `"blobs": []`) || strings.Contains(got, "null") {
		t.Errorf("a second gc: %s", got)
	}
}

// TestNoStore: what only looks makes no store. A name of one that is not there is
// misspelt; where nobody named one, it is empty.
func TestNoStore(t *testing.T) {
	_, address := newSession(t)
	missing := session{t, filepath.Join(t.TempDir(), "missing")}
	for _, line := range []string{"ls", "inspect app:1", "rm app:1", "tag app:1 new", "push --insecure app:1 docker://" + address + "/x", "export app:1 x.tar", "unpack app:1 bundle", "serve --read-only"} {
		status, out, say := missing.run(strings.Fields(line)...)
		if status != 3 || out != "" || !strings.Contains(say, missing.store+": no such ") {
			t.Errorf("%s: status %d: %s%s", line, status, out, say)
		}
	}
	if status, out, say := missing.run("gc"); status != 0 || out != "" || !strings.Contains(say, "warning: "+missing.store+": no such store") {
		t.Errorf("gc: status %d: %s%s", status, out, say)
	}
	dir := missing.store + "/dir"
	if status, _, say := missing.run("serve", "--listen", "127.0.0.1:0", dir); status != 3 || !strings.Contains(say, dir+": no such OCI layout") {
		t.Errorf("status %d: %s", status, say)
	}
	if _, err := os.Stat(missing.store); err == nil {
		t.Errorf("%s was made", missing.store)
	}
	if status, _, say := missing.run("serve", "--create", "--listen", "nowhere:x", dir); status != 1 || !strings.Contains(say, "--listen") {
		t.Errorf("status %d: %s", status, say)
	}
	if _, err := os.Stat(dir + "/oci-layout"); err != nil {
		t.Error(err)
	}
	nobody := descriptor.NotFound("x", "no such store")
	if !(&globals{}).isEmpty(nobody) || (&globals{storeDir: "x"}).isEmpty(nobody) || (&globals{}).isEmpty(os.ErrPermission) {
		t.Error("only the default store is empty where it is not there")
	}
}

// TestTag: an image has both names, also if another one had the new name.
func TestTag(t *testing.T) {
	s, _ := newSession(t)
	s.ok("pull", "--platform", "arm64", "oci:"+s.store+":app:1", "other:1")
	same := s.ok("tag", "app:1", "other:1")
	if got := s.ok("tag", "other:1@"+strings.TrimSpace(same), "third"); got != same {
		t.Errorf("the new name has %s, the old %s", got, same)
	}
	s.ok("rm", "app:1", "other:1")
	s.ok("gc")
	if got := s.ok("ls"); !strings.Contains(got, "third:latest") || !strings.Contains(got, strings.TrimSpace(same)) || strings.Contains(got, ":1") {
		t.Errorf("ls:\n%s", got)
	}
}

// TestRemoveSome: a name that is missing keeps none of the others, and each of those
// that are missing is told of; a command line that is wrong removes nothing.
func TestRemoveSome(t *testing.T) {
	s, _ := newSession(t)
	s.ok("tag", "app:1", "other:1")
	if status, _, say := s.run("rm", "app:1", "docker://h.example/x"); status != 2 {
		t.Errorf("status %d: %s", status, say)
	}
	status, _, say := s.run("rm", "nope", "app:1", "neither", "other:1")
	if status != 3 || !strings.Contains(say, `has no image "nope:latest"; `) || !strings.Contains(say, `has no image "neither:latest"`) {
		t.Errorf("status %d: %s", status, say)
	}
	if got := s.ok("ls", "--format", "json"); strings.TrimSpace(got) != "[]" {
		t.Errorf("there is still %s", got)
	}
}

// TestUnpackNetwork: what the hooks of a bundle will not find is told of when it is
// made; the network may come later.
func TestUnpackNetwork(t *testing.T) {
	s, _ := newSession(t)
	program := filepath.Join(t.TempDir(), "cninet")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	unpack := func(args ...string) (int, string) {
		status, _, say := s.run(append(append([]string{"unpack"}, args...), "--dry-run", "app:1", "bundle")...)
		return status, say
	}
	for _, flag := range []string{"--network", "--net"} {
		if _, say := unpack(flag, "no-such-network", "--cninet", program); !strings.Contains(say, "imgmgr: warning: --network: there is no network no-such-network in /etc/cni/net.d yet; ") {
			t.Errorf("%s: %s", flag, say)
		}
		if status, say := unpack(flag, "a/b", "--cninet", program); status != 2 || !strings.Contains(say, `"a/b" is no name`) {
			t.Errorf("%s: status %d: %s", flag, status, say)
		}
		if _, say := unpack(flag, "host", "--cninet", program); strings.Contains(say, "network") {
			t.Errorf("%s: %s", flag, say)
		}
	}
	if status, say := unpack("--net", "web", "--cninet", program+"2"); status != 1 || !strings.Contains(say, "find cninet") {
		t.Errorf("status %d: %s", status, say)
	}
}

// TestNames: shells learn the names of the store.
func TestNames(t *testing.T) {
	s, _ := newSession(t)
	s.ok("tag", "app:1", "other:1")
	for _, line := range [][]string{{"unpack", ""}, {"rm", "app:1", ""}} {
		if got := s.ok(append([]string{"__complete"}, line...)...); !strings.HasPrefix(got, "app:1\nother:1\n") {
			t.Errorf("%v: %s", line, got)
		}
	}
	if got := s.ok("__complete", "unpack", "app:1", ""); strings.Contains(got, "other") {
		t.Errorf("a directory is wanted: %s", got)
	}
}

// TestInspect: JSON in the words of the specification, from everywhere.
func TestInspect(t *testing.T) {
	s, address := newSession(t)
	s.ok("push", "--insecure", "app:1", "docker://"+address+"/app:1")
	for _, name := range []string{"app:1", "oci:" + s.store + ":app:1", "docker://" + address + "/app:1"} {
		var index inspectedIndex
		if err := json.Unmarshal([]byte(s.ok("inspect", "--insecure", name)), &index); err != nil || len(index.Manifests) != 2 || index.Manifests[1].Platform != "linux/arm64" {
			t.Errorf("%s: %+v, %v", name, index, err)
		}
		var one inspected
		answer := s.ok("inspect", "--insecure", "--platform", "arm64", name)
		if err := json.Unmarshal([]byte(answer), &one); err != nil || one.Platform != "linux/arm64" || one.Config == nil || one.Config.Env[0] != "A=<b>" || one.Layers[0].DiffID == "" {
			t.Errorf("%s: %+v, %v", name, one, err)
		}
		if strings.Contains(answer, "ArgsEscaped") || strings.Contains(answer, `\u003c`) {
			t.Errorf("%s: %s", name, answer)
		}
		if raw := s.ok("inspect", "--insecure", "--raw", "--platform", "arm64", name); !json.Valid([]byte(raw)) || one.Digest != string(digest.FromString(raw)) {
			t.Errorf("%s: raw %s is not %s", name, raw, one.Digest)
		}
		if config := s.ok("inspect", "--insecure", "--config", "--platform", "amd64", name); !strings.Contains(config, `"amd64"`) {
			t.Errorf("%s: config %s", name, config)
		}
	}
}

// TestQuiet: with -q, standard error is for errors.
func TestQuiet(t *testing.T) {
	s, address := newSession(t)
	if _, _, conversation := s.run("-q", "push", "--insecure", "app:1", "docker://"+address+"/app:1"); conversation != "" {
		t.Errorf("said %q", conversation)
	}
	if status, out, _ := s.run("--version"); status != 0 || out != command.VersionText("imgmgr") {
		t.Errorf("--version: %d %q", status, out)
	}
	for _, verb := range verbs {
		name, _, _ := strings.Cut(verb(&globals{}).Use, " ")
		if status, out, _ := s.run(name, "--help"); status != 0 || !strings.Contains(out, "Usage:") {
			t.Errorf("%s --help: %d %q", name, status, out)
		}
	}
}

func TestSize(t *testing.T) {
	for have, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536 << 10: "1.5 MiB", 1 << 62: "4.0 EiB"} {
		if got := size(have); got != want {
			t.Errorf("%d: %s, want %s", have, got, want)
		}
	}
	if got := printable("a\x1b[31mb\n\u0085c"); got != "a?[31mb??c" {
		t.Errorf("%q", got)
	}
}

// TestPullUnchanged: registries count pulls. An image that has not changed costs
// one HEAD request.
func TestPullUnchanged(t *testing.T) {
	s, address := newSession(t)
	s.ok("push", "--insecure", "app:1", "docker://"+address+"/app:1")
	var log []string
	target, err := url.Parse("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log = append(log, r.Method+" "+r.URL.Path) // one connection, one request at a time
		forward.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	name := strings.TrimPrefix(proxy.URL, "http://") + "/app:1"
	other := session{t, filepath.Join(t.TempDir(), "other")}
	other.ok("pull", "--insecure", "--jobs", "1", name)
	if len(log) != 5 { // HEAD and GET of the index, manifest, config, layer
		t.Errorf("the first time: %q", log)
	}
	for _, flags := range [][]string{{}, {"--platform", "amd64"}, {"--all"}} {
		args := append([]string{"pull", "--insecure", "--jobs", "1", name}, flags...)
		other.ok(args...)
		log = nil
		other.ok(args...)
		if len(log) != 1 || log[0] != "HEAD /v2/app/manifests/1" {
			t.Errorf("%q, the second time: %q", flags, log)
		}
	}
	// Another platform is another choice.
	if got := other.ok("pull", "--insecure", "--platform", "arm64", name); got == other.ok("pull", "--insecure", "--platform", "amd64", name) {
		t.Errorf("both platforms are %s", got)
	}
}
