// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package registry

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coracle-oci/coracle/imgmgr/ref"
)

func TestParseChallenges(t *testing.T) {
	for _, c := range []struct {
		have []string
		want []challenge
	}{
		{[]string{`Basic realm="x"`}, []challenge{{"basic", map[string]string{"realm": "x"}}}},
		{[]string{`Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push"`},
			[]challenge{{"bearer", map[string]string{"realm": "https://a/t", "service": "s", "scope": "repository:a/b:pull,push"}}}},
		{[]string{`BASIC realm=x, Bearer realm="y" , service = z`},
			[]challenge{{"basic", map[string]string{"realm": "x"}}, {"bearer", map[string]string{"realm": "y", "service": "z"}}}},
		{[]string{`Negotiate`, `Basic realm="a\"b"`}, []challenge{{"negotiate", map[string]string{}}, {"basic", map[string]string{"realm": `a"b`}}}},
		{[]string{`Bearer realm="never closed`}, []challenge{{"bearer", map[string]string{"realm": "never closed"}}}},
		{[]string{`="x"`, ``, `,,,`}, nil},
	} {
		if got := parseChallenges(c.have); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %v, want %v", c.have, got, c.want)
		}
	}
}

func FuzzParseChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://a/t",service="s", Basic`)
	f.Add(`a=b,c="\`)
	f.Fuzz(func(_ *testing.T, s string) { choose(parseChallenges([]string{s, s})) })
}

// guard asks for a header before anything else.
func guard(want func() string, challenge func() string) func(*bench, int, http.ResponseWriter, *http.Request) bool {
	return func(_ *bench, _ int, w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == want() {
			return false
		}
		w.Header().Set("WWW-Authenticate", challenge())
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}

func TestBasic(t *testing.T) {
	f := guard(func() string { return basic("me", "a:b") }, func() string { return `Basic realm="r"` })
	b := newBench(t, f)
	_, want := b.plant([]byte("layer"))
	repository := b.repository(b.client(func(o *Options) { o.Credentials = "me:a:b" }))
	for range 2 {
		if d, err := repository.Resolve(t.Context(), "v1"); err != nil || d.Digest != want.Digest {
			t.Error(d, err)
		}
	}
	if n := len(b.requests("HEAD")); n != 3 {
		t.Errorf("%d requests, want 3: one to learn, then one each", n)
	}
	_, err := b.repository(b.client(func(o *Options) { o.Credentials = "me:wrong" })).Resolve(t.Context(), "v1")
	if err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("wrong password: %v", err)
	}
	_, err = b.repository(b.client()).Resolve(t.Context(), "v1")
	if err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("no password: %v", err)
	}
}

// tokenServer gives out tokens t1, t2, …
func tokenServer(t *testing.T, check func(r *http.Request) bool) (*httptest.Server, *atomic.Int64) {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !check(r) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"token":"t%d","expires_in":300}`, n.Add(1))
	}))
	t.Cleanup(s.Close)
	return s, &n
}

func TestBearer(t *testing.T) {
	var asked url.Values
	tokens, n := tokenServer(t, func(r *http.Request) bool {
		asked = r.URL.Query()
		user, password, _ := r.BasicAuth()
		return user == "me" && password == "secret"
	})
	valid := "Bearer t1"
	b := newBench(t, guard(func() string { return valid }, func() string {
		return fmt.Sprintf(`Bearer realm="%s/token?keep=1",service="reg",scope="repository:some/app:pull"`, tokens.URL)
	}))
	layer, _ := b.plant([]byte("layer"))
	repository := b.repository(b.client(func(o *Options) { o.Credentials = "me:secret" }))
	for range 3 {
		if _, err := repository.Resolve(t.Context(), "v1"); err != nil {
			t.Fatal(err)
		}
	}
	if n.Load() != 1 || asked.Get("service") != "reg" || asked.Get("scope") != "repository:some/app:pull" || asked.Get("keep") != "1" {
		t.Errorf("%d tokens, asked with %v", n.Load(), asked)
	}
	valid = "Bearer t2" // the first one has expired
	if err := fetchInto(t.Context(), repository, store(t), layer); err != nil {
		t.Error(err)
	}
	_, err := b.repository(b.client(func(o *Options) { o.Credentials = "me:wrong" })).Resolve(t.Context(), "v1")
	if err == nil || !strings.Contains(err.Error(), "get a token") || !strings.Contains(err.Error(), "401") {
		t.Errorf("wrong password: %v", err)
	}
}

func TestRefreshToken(t *testing.T) {
	var form url.Values
	tokens, _ := tokenServer(t, func(r *http.Request) bool {
		err := r.ParseForm()
		form = r.PostForm
		return err == nil && r.Method == http.MethodPost && form.Get("refresh_token") == "long"
	})
	b := newBench(t, guard(func() string { return "Bearer t1" }, func() string { return `Bearer realm="` + tokens.URL + `"` }))
	b.plant([]byte("layer"))
	file := filepath.Join(t.TempDir(), "auth.json")
	host := strings.TrimPrefix(b.server.URL, "http://")
	if err := os.WriteFile(file, []byte(`{"auths":{"`+host+`":{"identitytoken":"long"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.repository(b.client(func(o *Options) { o.AuthFile = file })).Resolve(t.Context(), "v1"); err != nil {
		t.Error(err)
	}
	if form.Get("grant_type") != "refresh_token" || form.Get("scope") != "repository:some/app:pull" {
		t.Errorf("asked with %v", form)
	}
}

func TestRealm(t *testing.T) {
	for _, c := range []struct {
		registry, realm string
		ok              bool
	}{
		{"https://r.example", "https://auth.example/token", true},
		{"https://r.example", "https://r.example:444/token", true},
		{"https://10.0.0.1:5000", "https://10.0.0.2/token", true}, // an internal token server
		{"https://reg", "https://auth/token", true},
		{"http://127.0.0.1:5000", "http://127.0.0.1:5001/token", true},
		{"http://127.0.0.1:5000", "http://10.1.1.1/token", true},
		{"https://r.example", "http://r.example/token", false},
		{"https://r.example", "https://169.254.169.254/latest", false},
		{"https://r.example", "https://127.0.0.1/token", false},
		{"https://r.example", "https://[::1]/token", false},
		{"https://r.example", "https://localhost/token", false},
		{"https://r.example", "https://metadata/token", false},
		{"http://r.example", "http://192.168.1.1/", false},
		{"https://r.example", "file:///etc/passwd", false},
		{"https://r.example", "https://user:pw@auth.example/", false},
		{"https://r.example", "", false},
	} {
		base, err := url.Parse(c.registry)
		if err != nil {
			t.Fatal(err)
		}
		a := authority{host: &host{name: base.Host, base: *base}, challenge: &challenge{"bearer", map[string]string{"realm": c.realm}}}
		if _, err := a.realm(); (err == nil) != c.ok {
			t.Errorf("%s → %s: %v", c.registry, c.realm, err)
		}
	}
}

// TestRedirectKeepsCredentials: storage servers do not get them, not even on
// another port of the same host.
func TestRedirectKeepsCredentials(t *testing.T) {
	var leaked atomic.Bool
	content := noise(1000)
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked.Store(r.Header.Get("Authorization") != "")
		w.Write(content)
	}))
	defer storage.Close()
	protect := guard(func() string { return basic("me", "pw") }, func() string { return "Basic" })
	b := newBench(t, func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
		if protect(b, n, w, r) {
			return true
		}
		http.Redirect(w, r, storage.URL+"/x", http.StatusTemporaryRedirect)
		return true
	})
	layer, _ := b.plant(content)
	if err := fetchInto(t.Context(), b.repository(b.client(func(o *Options) { o.Credentials = "me:pw" })), store(t), layer); err != nil {
		t.Fatal(err)
	}
	if leaked.Load() {
		t.Error("the storage server got the credentials")
	}
}

func TestCredentials(t *testing.T) {
	auths := func(entries map[string]string) string {
		m := map[string]map[string]string{}
		for host, user := range entries {
			m[host] = map[string]string{"username": user, "password": "pw"}
		}
		data, _ := json.Marshal(map[string]any{"auths": m})
		return string(data)
	}
	dir := t.TempDir()
	write := func(path, content string) string {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("docker/config.json", `{"auths":{"d.example":{"auth":"ZG9ja2VyOnB3"},"https://index.docker.io/v1/":{"auth":"aHViOnB3"},"both.example":{"auth":"ZG9ja2VyOnB3"}},"credHelpers":{"h.example":"coracle-test"}}`)
	write("run/containers/auth.json", auths(map[string]string{"p.example": "podman", "both.example": "podman"}))
	write("bin/docker-credential-coracle-test", "#!/bin/sh\nread host\necho '{\"Username\":\"helper\",\"Secret\":\"'$host'\"}'\n")
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("DOCKER_CONFIG", filepath.Join(dir, "docker"))
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(dir, "run"))
	t.Setenv("REGISTRY_AUTH_FILE", "")
	t.Setenv("DOCKER_AUTH_CONFIG", "")
	t.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	other := write("other.json", auths(map[string]string{"d.example": "other"}))
	for _, c := range []struct {
		name, host, user string
		options          Options
		env              string
	}{
		{"docker", "d.example", "docker", Options{}, ""},
		{"docker hub", ref.DefaultRegistry, "hub", Options{}, ""},
		{"podman", "p.example", "podman", Options{}, ""},
		{"docker before podman", "both.example", "docker", Options{}, ""},
		{"helper", "h.example", "helper", Options{}, ""},
		{"nobody", "n.example", "", Options{}, ""},
		{"--creds", "d.example", "me", Options{Credentials: "me:pw"}, ""},
		{"--authfile alone", "p.example", "", Options{AuthFile: other}, ""},
		{"--authfile", "d.example", "other", Options{AuthFile: other}, ""},
		{"REGISTRY_AUTH_FILE first", "d.example", "other", Options{}, other},
		{"REGISTRY_AUTH_FILE, then the others", "p.example", "podman", Options{}, other},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("REGISTRY_AUTH_FILE", c.env)
			found, err := loadCredentials(c.options)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := found.find(c.host); err != nil || got.Username != c.user {
				t.Errorf("%+v, %v; want user %q", got, err, c.user)
			}
		})
	}
	if _, err := loadCredentials(Options{Credentials: "nocolon"}); err == nil {
		t.Error("--creds without a colon was accepted")
	}
	if _, err := loadCredentials(Options{AuthFile: write("bad.json", "{")}); err == nil {
		t.Error("a broken file was accepted")
	}
}

func TestTLS(t *testing.T) {
	b := newBench(t, nil)
	b.plant([]byte("layer"))
	server := httptest.NewTLSServer(b)
	defer server.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	r, _ := ref.Parse("docker://" + strings.TrimPrefix(server.URL, "https://") + "/some/app:v1")
	try := func(change func(*Options)) error {
		repository, err := b.client(func(o *Options) { o.Insecure = false; change(o) }).Repository(r)
		if err != nil {
			return err
		}
		_, err = repository.Resolve(t.Context(), "v1")
		return err
	}
	if err := try(func(o *Options) { o.CAFiles = []string{ca} }); err != nil {
		t.Errorf("--ca: %v", err)
	}
	if err := try(func(o *Options) { o.CertDir = dir }); err != nil {
		t.Errorf("--cert-dir: %v", err)
	}
	if err := try(func(*Options) {}); err == nil || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), "tried") {
		t.Errorf("unknown authority: %v", err)
	}
	if _, err := New(Options{CAFiles: []string{"/nonexistent"}}); err == nil {
		t.Error("a missing CA file was accepted")
	}
	if config, err := tlsConfig(Options{}, "host"); err != nil || config.MinVersion < tls.VersionTLS12 {
		t.Error(config, err)
	}
}
