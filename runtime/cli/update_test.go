// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import "testing"

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{"-1": -1, "0": 0, "4096": 4096, "4096b": 4096, "1k": 1 << 10, "512M": 512 << 20, "1.5g": 3 << 29, "2 GiB": 2 << 30, "3kb": 3 << 10, "1t": 1 << 40} {
		if got, err := parseBytes(text); err != nil || got != want {
			t.Errorf("%q: got %d %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-2", "x", "1x", "m", "1mm", "-1m", "1e", "9999999p", "1bb", "0x10", "1kib b", "nan", "1 bib"} {
		if got, err := parseBytes(text); err == nil {
			t.Errorf("%q: got %d", text, got)
		}
	}
}
