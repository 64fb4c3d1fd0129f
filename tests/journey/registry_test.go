// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package journey_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A registry is Debian's docker-registry, and how imgmgr has to talk to it.
type registry struct {
	address string
	flags   []string
}

// anonymous serves plain HTTP to everybody.
func (h *house) anonymous() registry {
	h.t.Helper()
	r := registry{address: freeAddress(h.t), flags: []string{"--insecure"}}
	h.serve(r, "")
	return r
}

// private serves TLS, with a certificate that no system trusts, to one user.
func (h *house) private() registry {
	h.t.Helper()
	r := registry{address: freeAddress(h.t), flags: []string{"--ca", h.path("cert.pem"), "--creds", "captain:of the coracle"}}
	certificate(h.t, h.path("cert.pem"), h.path("key.pem"))
	users := h.must(exec.Command("htpasswd", "-Bbn", "captain", "of the coracle"))
	if err := os.WriteFile(h.path("htpasswd"), []byte(users), 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.serve(r, fmt.Sprintf(`
  tls:
    certificate: %s
    key: %s
auth:
  htpasswd:
    realm: harbour
    path: %s
`, h.path("cert.pem"), h.path("key.pem"), h.path("htpasswd")))
	return r
}

// serve starts the server; security goes on where the http section ends.
func (h *house) serve(r registry, security string) {
	h.t.Helper()
	config := fmt.Sprintf(`version: 0.1
storage:
  filesystem:
    rootdirectory: %s
http:
  addr: %s%s
`, h.path("registry"), r.address, security)
	if err := os.WriteFile(h.path("registry.yml"), []byte(config), 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.background(exec.Command("docker-registry", "serve", h.path("registry.yml")), "listening on")
}

// freeAddress returns an address of loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// certificate writes a self-signed certificate for 127.0.0.1 and its key.
func certificate(t *testing.T, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "journey"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(cryptorand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
