package rig

import (
	"os"
	"strings"
	"testing"
)

// TestLeaked: a process with more files than a daemon needs is named, with what they are.
func TestLeaked(t *testing.T) {
	if text, err := leaked("this", os.Getpid()); text != "" || err != nil {
		t.Fatalf("%q, %v", text, err)
	}
	for range roomForFiles/2 + 1 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
	}
	if text, err := leaked("this", os.Getpid()); !strings.Contains(text, "pipe:") || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
