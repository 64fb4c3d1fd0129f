// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package images_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/internal/testkit"
)

// noiseImage writes an image of layers that do not compress into a store. The
// layers are not archives: a transfer does not look into them.
func noiseImage(t testing.TB, l *layout.Layout, arch string, layers, size int) v1.Descriptor {
	t.Helper()
	write := func(mediaType string, content []byte) v1.Descriptor {
		d, err := l.WriteBlob(mediaType, content)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	marshal := func(v any) []byte {
		data, err := json.Marshal(v, json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest}
	c := v1.Image{Platform: v1.Platform{OS: "linux", Architecture: arch}, RootFS: v1.RootFS{Type: "layers"}}
	for range layers {
		content := make([]byte, size)
		rand.Read(content)
		d := write(v1.MediaTypeImageLayer, content)
		m.Layers, c.RootFS.DiffIDs = append(m.Layers, d), append(c.RootFS.DiffIDs, d.Digest)
	}
	m.Config = write(v1.MediaTypeImageConfig, marshal(c))
	d := write(v1.MediaTypeImageManifest, marshal(m))
	d.Platform = &c.Platform
	return d
}

// noiseStore makes a store with an image "app:1" for two platforms.
func noiseStore(t testing.TB, layers, size int) (store string, root v1.Descriptor) {
	t.Helper()
	store = filepath.Join(t.TempDir(), "store")
	l, err := layout.Create(store)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	x := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}
	for _, arch := range []string{"amd64", "arm64"} {
		x.Manifests = append(x.Manifests, noiseImage(t, l, arch, layers, size))
	}
	data, err := json.Marshal(x, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	if root, err = l.WriteBlob(x.MediaType, data); err != nil {
		t.Fatal(err)
	}
	if err := l.Tag("app:1", root); err != nil {
		t.Fatal(err)
	}
	return store, root
}

// blobs lists the blobs of a store: their names are their digests, and fsck of a
// pull is that all are there under the same names.
func blobs(t testing.TB, store string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(store, "blobs", "sha256"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// registryServer starts Debian's docker-registry on loopback with a
// configuration of its own, and waits until it answers. It returns "host:port".
func registryServer(t testing.TB, scheme, auth string, tls string) string {
	t.Helper()
	testkit.Need(t, testkit.Tool("docker-registry"))
	dir := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close() // it takes no port 0: somebody else could take this one, and then it says so
	config := fmt.Sprintf("version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp:\n  addr: %s\n  secret: test\n%s%s", filepath.Join(dir, "data"), address, tls, auth)
	path := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("docker-registry", "serve", path)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("docker-registry: %s", text)
		}
	})
	waitForPort(t, address)
	return address
}

// waitForPort waits until somebody listens: a server says so in no other way.
func waitForPort(t testing.TB, address string) {
	t.Helper()
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("nobody listens at %s", address)
}

// exits runs imgmgr and wants an exit status and words in what it says.
func exits(t testing.TB, status int, say, store string, args ...string) {
	t.Helper()
	_, e, err := imgmgr(t, store, args...)
	got := 0
	if x, ok := errors.AsType[*exec.ExitError](err); ok {
		got = x.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if got != status || !strings.Contains(e, say) {
		t.Errorf("imgmgr %s: status %d, want %d and %q: %s", strings.Join(args, " "), got, status, say, e)
	}
	if last := strings.TrimSuffix(e, "\n"); !strings.HasPrefix(last[strings.LastIndex(last, "\n")+1:], "imgmgr: ") {
		t.Errorf("the error is not one line of imgmgr's: %s", e)
	}
}

// TestTransferRegistry is the round trip through a registry that is not ours.
func TestTransferRegistry(t *testing.T) {
	address := registryServer(t, "http", "", "")
	store, root := noiseStore(t, 4, 1<<20)
	name := address + "/team/app:1"

	_, e, err := imgmgr(t, store, "push", "--insecure", "app:1", "docker://"+name)
	if err != nil || strings.Count(e, "uploaded") != 10 {
		t.Fatalf("push: %v: %s", err, e)
	}
	_, e, err = imgmgr(t, store, "push", "--insecure", "app:1", "docker://"+name)
	if err != nil || strings.Count(e, "exists") != 10 {
		t.Errorf("push again: %v: %s", err, e)
	}

	back := filepath.Join(t.TempDir(), "store")
	if got := last(must(t, back, "pull", "--insecure", "--all", name)); got != string(root.Digest) {
		t.Errorf("pulled %s, want %s", got, root.Digest)
	}
	if got, want := blobs(t, back), blobs(t, store); !slices.Equal(got, want) {
		t.Errorf("blobs %v, want %v", got, want)
	}
	must(t, back, "gc")
	if n := len(blobs(t, back)); n != 13 {
		t.Errorf("%d blobs after gc, want 13", n)
	}

	// A second repository of the same registry: nothing is sent.
	_, e, err = imgmgr(t, back, "push", "--insecure", name, "docker://"+address+"/other:2")
	if err != nil || strings.Count(e, "mounted") != 10 {
		t.Errorf("push to another repository: %v: %s", err, e)
	}

	// One platform, by tag and by digest.
	arm := filepath.Join(t.TempDir(), "store")
	digest := last(must(t, arm, "pull", "--insecure", "--platform", "linux/arm64", name))
	if n := len(blobs(t, arm)); n != 6 {
		t.Errorf("%d blobs of one platform, want 6", n)
	}
	must(t, arm, "pull", "--insecure", address+"/team/app@"+digest)
	exits(t, 3, "riscv64", arm, "pull", "--insecure", "--platform", "linux/riscv64", name)
	exits(t, 3, "404", arm, "pull", "--insecure", address+"/team/app:nope")
	exits(t, 3, "404", arm, "pull", "--insecure", address+"/no/such:1")
	exits(t, 1, "--insecure", arm, "pull", name)
	exits(t, 2, "names no registry", arm, "pull", "app:1")
}

// TestTransferAuthTLS is the same with a password and a private authority.
func TestTransferAuthTLS(t *testing.T) {
	testkit.Need(t, testkit.Tool("htpasswd"))
	dir := t.TempDir()
	users, err := exec.Command("htpasswd", "-Bbn", "me", "se:cret").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "users"), users, 0o644); err != nil {
		t.Fatal(err)
	}
	writeCertificates(t, dir)
	address := registryServer(t, "https",
		fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}\n", filepath.Join(dir, "users")),
		fmt.Sprintf("  tls: {certificate: %q, key: %q}\n", filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")))
	store, root := noiseStore(t, 2, 300_000)
	name, ca := "docker://"+address+"/private/app:1", filepath.Join(dir, "ca", "ca.crt")
	t.Setenv("HOME", dir) // nobody's credentials
	t.Setenv("DOCKER_CONFIG", "")
	t.Setenv("XDG_RUNTIME_DIR", "")

	exits(t, 1, "--ca FILE", store, "push", "--creds", "me:se:cret", "app:1", name)
	exits(t, 1, "401", store, "push", "--ca", ca, "app:1", name)
	exits(t, 1, "401", store, "push", "--ca", ca, "--creds", "me:wrong", "app:1", name)
	if got := last(must(t, store, "push", "--ca", ca, "--creds", "me:se:cret", "app:1", name)); got != string(root.Digest) {
		t.Errorf("pushed %s, want %s", got, root.Digest)
	}
	auths := filepath.Join(dir, "auth.json")
	entry := base64.StdEncoding.EncodeToString([]byte("me:se:cret"))
	if err := os.WriteFile(auths, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, address, entry), 0o600); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(t.TempDir(), "store")
	if got := last(must(t, back, "pull", "--all", "--cert-dir", filepath.Dir(ca), "--authfile", auths, name)); got != string(root.Digest) {
		t.Errorf("pulled %s, want %s", got, root.Digest)
	}
	if got, want := blobs(t, back), blobs(t, store); !slices.Equal(got, want) {
		t.Errorf("blobs %v, want %v", got, want)
	}
}

// last is the last line of an answer: the digest.
func last(answer string) string {
	lines := strings.Split(strings.TrimSpace(answer), "\n")
	return lines[len(lines)-1]
}

// writeCertificates makes an authority in ca/ca.crt and a server's certificate
// for 127.0.0.1 that it has signed.
func writeCertificates(t testing.TB, dir string) {
	t.Helper()
	write := func(name, kind string, der []byte) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	template := func(name string, ca bool) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: ca, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		}
	}
	make := func(c, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der, key
	}
	authority := template("test authority", true)
	der, caKey := make(authority, authority, nil)
	write("ca/ca.crt", "CERTIFICATE", der)
	der, key := make(template("127.0.0.1", false), authority, caKey)
	write("server.pem", "CERTIFICATE", der)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write("server.key", "PRIVATE KEY", secret)
}

// TestTransferServe is our own registry as a program: address on standard
// output, push and pull, and an end on SIGTERM.
func TestTransferServe(t *testing.T) {
	store, root := noiseStore(t, 2, 300_000)
	served := filepath.Join(t.TempDir(), "served")
	address, stop := serve(t, served)
	must(t, store, "push", "--insecure", "app:1", "docker://"+address+"/a/b:1")
	back := filepath.Join(t.TempDir(), "store")
	if got := last(must(t, back, "pull", "--insecure", "--all", address+"/a/b:1")); got != string(root.Digest) {
		t.Errorf("pulled %s, want %s", got, root.Digest)
	}
	exits(t, 1, "in use", served, "gc")
	if r, err := http.Get("http://" + address + "/v2/"); err != nil || r.StatusCode != http.StatusOK {
		t.Error(r, err)
	} else {
		r.Body.Close()
	}
	stop()
	must(t, served, "gc")
	must(t, served, "rm", "a/b:1")
	must(t, served, "gc")
	if n := len(blobs(t, served)); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}
