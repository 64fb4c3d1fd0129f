// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/layer"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/inroot"
	"github.com/coracle-oci/coracle/internal/sys"
)

// Options say how to unpack.
type Options struct {
	Config     Config
	Name       string // the reference as typed, kept in the bundle
	RootfsOnly bool   // the target becomes the tree itself, without a bundle around it
	MaxBytes   int64  // of file data; 0: what the file system has free
	Warn       func(string)
}

// Names of the files beside rootfs.
const (
	rootfsName = "rootfs"
	configName = "config.json"
	originName = "imgmgr.json"
	indexName  = "imgmgr.index"
)

// An origin is imgmgr.json: which image a bundle was made of.
type origin struct {
	Version  int           `json:"version"`
	Name     string        `json:"name,omitempty"`
	Layout   string        `json:"layout"` // directory whose blobs the image's are
	Manifest v1.Descriptor `json:"manifest"`
	Single   bool          `json:"singleUser,omitempty"` // owners were not applied
}

// Unpack makes the bundle target of an image. On an error, nothing is left.
func Unpack(ctx context.Context, i *Image, target string, o Options) (err error) {
	s, err := newStage(target, i.Layout.NoteStage)
	if err != nil {
		return err
	}
	defer func() {
		if e := s.close(); err == nil {
			err = e
		}
	}()
	defer sys.SetUmask(sys.SetUmask(0))
	if err := s.dir.Mkdir(rootfsName, 0o700); err != nil {
		return s.error("make rootfs", err)
	}
	root, err := s.dir.OpenDir(rootfsName)
	if err != nil {
		return s.error("open rootfs", err)
	}
	defer root.Close()
	single := os.Geteuid() != 0
	index, err := layer.Apply(root, i.Blobs(), layer.Options{
		Where: target, Single: single, MaxBytes: o.MaxBytes, Warn: o.Warn, Interrupted: ctx.Err,
	})
	if err != nil {
		return err
	}
	if o.RootfsOnly {
		return s.publish(rootfsName)
	}
	if err := writeConfig(s, root, i, o, single); err != nil {
		return err
	}
	layoutPath, err := filepath.Abs(i.Layout.Path())
	if err != nil {
		return s.error("find the layout", err)
	}
	from := origin{Version: 1, Name: o.Name, Layout: layoutPath, Manifest: i.Descriptor, Single: single}
	if err := writeJSON(s, originName, from); err != nil {
		return err
	}
	if err := s.dir.WriteFile(indexName, index.Bytes(), 0o644); err != nil {
		return s.error("write "+indexName, err)
	}
	return s.publish("")
}

// writeConfig writes config.json. Users and groups are looked up in the rootfs,
// and a link there stays in there.
func writeConfig(s *stage, root *inroot.Dir, i *Image, o Options, single bool) error {
	passwd, err := readAccounts(root, "etc/passwd")
	if err != nil {
		return err
	}
	groups, err := readAccounts(root, "etc/group")
	if err != nil {
		return err
	}
	u, err := lookUser(i.Config.Config.User, passwd, groups)
	if err != nil {
		return err
	}
	c := o.Config
	if c.Hostname == "" {
		c.Hostname = hostname(s.base)
	}
	spec, err := convert(i.Config, u, c, o.Warn)
	if err != nil {
		return err
	}
	if single {
		forUser(spec, uint32(os.Geteuid()), uint32(os.Getegid()), o.Warn)
	}
	if c.Seccomp != nil {
		if err := setProfile(spec, c.Seccomp); err != nil {
			return err
		}
	}
	return writeJSON(s, configName, spec)
}

// maxAccounts bounds a file that we did not write but must hold in memory.
const maxAccounts = 4 << 20

// readAccounts reads a file of the rootfs that may be missing.
func readAccounts(root *inroot.Dir, name string) (string, error) {
	data, err := root.ReadFile(name, maxAccounts)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", &fail.Error{Where: "rootfs", Doing: "look up the image's user", Err: err}
	}
	return string(data), nil
}

func writeJSON(s *stage, name string, v any) error {
	data, err := json.MarshalIndent(v, "", "\t")
	if err == nil {
		err = s.dir.WriteFile(name, append(data, '\n'), 0o644)
	}
	if err != nil {
		return s.error("write "+name, err)
	}
	return nil
}

// hostname makes a host name of a directory's name: letters, digits and hyphens.
func hostname(s string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, s)
	if name = strings.Trim(name[:min(len(name), 63)], "-"); name == "" {
		return "container"
	}
	return name
}
