package haproxyline

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryFieldIsDocumented holds the table of docs/logs.md to the fields that a line can have, and the other way round.
func TestEveryFieldIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## The fields of a line\n")
	section, _, _ = strings.Cut(section, "\n## ")
	names := make(map[string]bool)
	for _, kind := range []Kind{HTTP, TCP, Failed, Connect} {
		l := Line{Kind: kind}
		fill(reflect.ValueOf(&l).Elem())
		l.Kind = kind
		for _, f := range l.AppendFields(nil) {
			names[f.Name] = true
		}
	}
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*) \\|$").FindAllStringSubmatch(section, -1) {
		for _, word := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[1], -1) {
			documented = append(documented, word[1])
		}
	}
	for name := range names {
		if !slices.Contains(documented, name) {
			t.Errorf("docs/logs.md does not name %q", name)
		}
	}
	values := []string{"http", "tcp", "failed", "connect", "unix", "traceparent"} // of fields, and of what is captured
	for _, name := range documented {
		if !names[name] && !slices.Contains(values, name) {
			t.Errorf("docs/logs.md has a field %q that no line has", name)
		}
	}
}

// fill gives every exported field a value.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case !f.CanSet():
		case f.Kind() == reflect.Struct:
			fill(f)
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Uint8:
			f.SetBytes([]byte("x"))
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.CanInt():
			f.SetInt(1)
		}
	}
}
