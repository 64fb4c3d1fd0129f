// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
)

// certDirs is where docker and podman look for the certificates of a registry.
var certDirs = []string{"/etc/containers/certs.d", "/etc/docker/certs.d"}

// tlsConfig returns the TLS configuration for a registry: the system's
// authorities, those given, and those in its certificate directory.
func tlsConfig(o Options, host string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	dirs := []string{o.CertDir}
	if o.CertDir == "" {
		dirs = nil
		for _, d := range certDirs {
			if _, err := os.Stat(filepath.Join(d, host)); err == nil && host != "" {
				dirs = append(dirs, filepath.Join(d, host))
			}
		}
	} else if _, err := os.Stat(o.CertDir); err != nil {
		return nil, &fail.Error{Where: "--cert-dir", Doing: "read certificates", Err: err}
	}
	for _, file := range o.CAFiles {
		if err := addAuthority(config, file); err != nil {
			return nil, err
		}
	}
	for _, d := range dirs {
		if err := addDirectory(config, d); err != nil {
			return nil, err
		}
	}
	return config, nil
}

// addDirectory adds *.crt as authorities and each *.cert with its *.key as ours,
// docker's and podman's convention (containers-certs.d(5)).
func addDirectory(config *tls.Config, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return &fail.Error{Where: dir, Doing: "read certificates", Err: err}
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch filepath.Ext(path) {
		case ".crt":
			err = addAuthority(config, path)
		case ".cert":
			err = addPair(config, path, strings.TrimSuffix(path, ".cert")+".key")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func addAuthority(config *tls.Config, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return &fail.Error{Where: path, Doing: "read certificate authority", Err: err}
	}
	if config.RootCAs == nil {
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool() // a machine without any
		}
	}
	if !config.RootCAs.AppendCertsFromPEM(data) {
		return &fail.Error{Where: path, Doing: "read certificate authority", Err: errors.New("has no PEM certificate")}
	}
	return nil
}

func addPair(config *tls.Config, cert, key string) error {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return &fail.Error{Where: cert, Doing: "read client certificate", Err: err}
	}
	config.Certificates = append(config.Certificates, pair)
	return nil
}
