// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package registry

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cuelabs.dev/go/oci/ociregistry/ociauth"

	"github.com/coracle-oci/coracle/imgmgr/ref"
	"github.com/coracle-oci/coracle/internal/fail"
)

// A credential is what a file or helper says for one registry.
type credential = ociauth.ConfigEntry

// credentials looks for credentials where docker and podman keep them.
type credentials struct {
	given   *credential      // --creds
	configs []ociauth.Config // in this order
}

// loadCredentials reads the files. Formats and credential helpers are the
// library's; the order of the places is ours: --creds, --authfile,
// $REGISTRY_AUTH_FILE, what docker looks at, what podman looks at.
func loadCredentials(o Options) (credentials, error) {
	if o.Credentials != "" {
		user, password, ok := strings.Cut(o.Credentials, ":")
		if !ok || user == "" {
			return credentials{}, fail.At("--creds", "is not USER:PASSWORD")
		}
		return credentials{given: &credential{Username: user, Password: password}}, nil
	}
	if o.AuthFile != "" {
		c, err := readConfig(o.AuthFile)
		return credentials{configs: []ociauth.Config{c}}, err
	}
	var found credentials
	if path := os.Getenv("REGISTRY_AUTH_FILE"); path != "" {
		c, err := readConfig(path)
		if err != nil {
			return credentials{}, err
		}
		found.configs = append(found.configs, c)
	}
	c, err := ociauth.Load(nil)
	if err != nil {
		return credentials{}, &fail.Error{Where: "docker's config.json", Doing: "read credentials", Err: err}
	}
	found.configs = append(found.configs, c)
	for _, path := range podmanFiles() {
		c, err := readConfig(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		} else if err != nil {
			return credentials{}, err
		}
		found.configs = append(found.configs, c)
	}
	return found, nil
}

// podmanFiles are the files that the library looks at only if docker has none,
// or never; containers-auth.json(5).
func podmanFiles() []string {
	var paths []string
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		paths = append(paths, filepath.Join(dir, "containers", "auth.json"))
	}
	if dir, err := os.UserConfigDir(); err == nil {
		paths = append(paths, filepath.Join(dir, "containers", "auth.json"))
	}
	return paths
}

// readConfig reads one file. The library takes a file's content through the
// variable that docker has for it.
func readConfig(path string) (ociauth.Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &fail.Error{Where: path, Doing: "read credentials", Err: err}
	}
	c, err := ociauth.LoadWithEnv(nil, append(os.Environ(), "DOCKER_AUTH_CONFIG="+string(data)))
	if err != nil {
		return nil, &fail.Error{Where: path, Doing: "read credentials", Err: err}
	}
	return c, nil
}

// find returns the credentials for a registry; empty ones if there are none.
func (c credentials) find(host string) (credential, error) {
	if c.given != nil {
		return *c.given, nil
	}
	names := []string{host}
	if host == ref.DefaultRegistry { // docker login keeps it under its old name
		names = []string{"https://index.docker.io/v1/", "index.docker.io", host}
	}
	for _, config := range c.configs {
		for _, n := range names {
			entry, err := config.EntryForRegistry(n)
			if err != nil {
				return credential{}, &fail.Error{Where: "credentials for " + host, Err: err}
			}
			if entry != (credential{}) {
				return entry, nil
			}
		}
	}
	return credential{}, nil
}
