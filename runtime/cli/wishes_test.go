// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"fmt"
	"testing"
)

func TestParseMount(t *testing.T) {
	for text, want := range map[string]string{
		"/a:/b":                                    "{/b bind /a [rbind]}",
		"/a:/b:ro,noexec":                          "{/b bind /a [rbind ro noexec]}",
		"/a:/b:bind,ro":                            "{/b bind /a [bind ro]}",
		"type=tmpfs,target=/t,size=1m":             "{/t tmpfs tmpfs [size=1m]}",
		"type=bind,source=/a,target=/b,readonly":   "{/b bind /a [rbind ro]}",
		"source=/a,dst=/b":                         "{/b bind /a [rbind]}",
		"type=overlay,src=o,dst=/b,lowerdir=/l:/m": "{/b overlay o [lowerdir=/l:/m]}",
	} {
		m, err := parseMount(text)
		if got := fmt.Sprintf("{%s %s %s %v}", m.Destination, m.Type, m.Source, m.Options); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "/a", "type=tmpfs", "type=bind,target=/b", ":/b", "/a:"} {
		if m, err := parseMount(text); err == nil {
			t.Errorf("%q is taken: %+v", text, m)
		}
	}
}
