package http2

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// TestSpaceAroundValues: servers that put it there are understood; it does not reach HTTP/1. What a client says with it is refused (request_test.go).
func TestSpaceAroundValues(t *testing.T) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{{Name: ":status", Value: "200"}, {Name: "x-a", Value: " a b \t"}, {Name: "x-b", Value: " "}, {Name: "content-length", Value: "7 "}} {
		if err := enc.WriteField(f); err != nil {
			t.Fatal(err)
		}
	}
	a, e := NewAnswerDecoder().Answer(block.Bytes())
	if e != nil || a.Fault != "" {
		t.Fatal(e, a.Fault)
	}
	if want := "x-a: a b\r\nx-b: \r\ncontent-length: 7\r\n"; string(a.Fields) != want || a.Length != 7 {
		t.Errorf("%q, %d", a.Fields, a.Length)
	}
}
