package main

import (
	"bytes"
	"os"
	"testing"
)

func TestPageIsUpToDate(t *testing.T) {
	const path = "../../../../docs/haproxy-compat.md"
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	render(&want)
	if !bytes.Equal(have, want.Bytes()) {
		t.Errorf("docs/haproxy-compat.md is not what the keyword tables say: run go generate ./lb/config")
	}
}
