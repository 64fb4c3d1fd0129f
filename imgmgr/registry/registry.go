// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package registry is a client of the OCI distribution protocol on net/http.
//
// It exists because transfers break: connections are reset in the middle of a
// blob, servers ask to wait, go silent, ignore a Range, or send a wrong byte.
// One policy (policy.go) decides for every request whether to try again and
// when; a blob goes on where it stopped; and silence has a limit (stall.go), so
// that nothing hangs. What arrives is verified against its digest before it
// counts.
//
// It knows nothing of platforms, stores and progress: package copy does. Names
// and digests come from packages ref and descriptor, already valid.
package registry

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coracle-oci/coracle/imgmgr/ref"
)

// Options are what a user may say about registries.
type Options struct {
	Insecure    bool     // plain HTTP instead of HTTPS
	CAFiles     []string // PEM files of further certificate authorities
	CertDir     string   // *.crt authorities, and *.cert with *.key for us; "": those of docker and podman
	Credentials string   // "USER:PASSWORD"; "": from the files of docker and podman
	AuthFile    string   // a config.json or auth.json to look in alone
	UserAgent   string
	Policy      Policy
	// Retrying is told about each failure that is tried again. May be nil.
	Retrying func(what string, err error, wait time.Duration)
}

// A Client talks to registries. It is safe for several goroutines.
type Client struct {
	options Options
	creds   credentials

	mu    sync.Mutex
	hosts map[string]*host
}

// A host is what we know of one registry: its connections and how it wants to
// be talked to.
type host struct {
	name   string // as in references
	base   url.URL
	client *http.Client
	auth   authority
}

// New returns a client. Files are read here, so that a wrong one is an error at
// the start.
func New(o Options) (*Client, error) {
	o.Policy = o.Policy.withDefaults()
	c := &Client{options: o, hosts: map[string]*host{}}
	var err error
	if c.creds, err = loadCredentials(o); err != nil {
		return nil, err
	}
	if _, err := tlsConfig(o, ""); err != nil {
		return nil, err
	}
	return c, nil
}

// dockerHub is where the API of the default registry is: its name in references
// is not the name of its server.
const dockerHub = "registry-1.docker.io"

// host returns the host of a name, and makes it on first use.
func (c *Client) host(name string) (*host, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.hosts[name]; h != nil {
		return h, nil
	}
	config, err := tlsConfig(c.options, name)
	if err != nil {
		return nil, err
	}
	h := &host{name: name, base: url.URL{Scheme: "https", Host: name}}
	if name == ref.DefaultRegistry {
		h.base.Host = dockerHub
	}
	if c.options.Insecure {
		h.base.Scheme = "http"
	}
	h.client = &http.Client{Transport: transport(config, c.options.Policy), CheckRedirect: checkRedirect}
	h.auth = authority{host: h, client: c}
	c.hosts[name] = h
	return h, nil
}

func transport(config *tls.Config, p Policy) *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: p.Stall, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: p.Stall,
		// Blobs are content, not representations: a transparent gunzip would
		// change the bytes that the digest is of.
		DisableCompression:  true,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     30 * time.Second,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
	}
}

// checkRedirect follows to storage servers, but never from HTTPS to HTTP, and
// never with our credentials: net/http would keep them for another port or a
// subdomain of the same host.
func checkRedirect(next *http.Request, via []*http.Request) error {
	const most = 10
	first := via[0].URL
	switch {
	case len(via) >= most:
		return permanent("stopped after 10 redirects")
	case next.URL.Scheme != "https" && (next.URL.Scheme != "http" || first.Scheme == "https"):
		return permanent("redirect from HTTPS to " + next.URL.Scheme + " is not followed")
	case next.URL.Host != first.Host:
		next.Header.Del("Authorization")
	}
	return nil
}

// A Repository is one repository of a registry.
type Repository struct {
	client *Client
	host   *host
	name   string
}

// Repository returns the repository that a registry reference names.
func (c *Client) Repository(r ref.Ref) (*Repository, error) {
	h, err := c.host(r.Host())
	if err != nil {
		return nil, err
	}
	return &Repository{client: c, host: h, name: r.Repository()}, nil
}

// String returns "host/name".
func (r *Repository) String() string { return r.host.name + "/" + r.name }

// url returns the URL of something of the repository.
func (r *Repository) url(parts string) string { return r.host.base.String() + "/v2/" + r.name + parts }

func (r *Repository) pullScope() string { return "repository:" + r.name + ":pull" }
func (r *Repository) pushScope() string { return "repository:" + r.name + ":pull,push" }

// drain reads a little of what is left of a body, so that the connection can be
// used again, and closes it.
func drain(body io.ReadCloser) {
	io.Copy(io.Discard, io.LimitReader(body, 16<<10))
	body.Close()
}
