// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"reflect"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
)

// nearestProperty returns a hint for an unknown property: the one that the spec
// has at the same place and that is closest in its spelling.
func nearestProperty(path string) string {
	at := reflect.TypeFor[specs.Spec]()
	steps := strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' || r == '"' })
	for i, step := range steps {
		for at.Kind() == reflect.Pointer {
			at = at.Elem()
		}
		switch at.Kind() {
		case reflect.Slice, reflect.Map:
			at = at.Elem()
		case reflect.Struct:
			if i == len(steps)-1 {
				return fail.Nearest(step, properties(at))
			}
			field, ok := property(at, step)
			if !ok {
				return ""
			}
			at = field.Type
		default:
			return ""
		}
	}
	return ""
}

func properties(of reflect.Type) []string {
	var names []string
	for i := range of.NumField() {
		names = append(names, propertyName(of.Field(i)))
	}
	return names
}

func property(of reflect.Type, name string) (reflect.StructField, bool) {
	for i := range of.NumField() {
		if propertyName(of.Field(i)) == name {
			return of.Field(i), true
		}
	}
	return reflect.StructField{}, false
}

func propertyName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
