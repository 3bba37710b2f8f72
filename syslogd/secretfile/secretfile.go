// Package secretfile reads passwords and tokens, each from a file of its own: they stand neither in the configuration nor in a log.
package secretfile

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// most is how large a file with a secret may be.
const most = 64 << 10

// Read reads the only line of a file.
func Read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", err
	}
	secret := bytes.TrimSpace(text)
	if len(text) > most || len(secret) == 0 || bytes.ContainsAny(secret, "\r\n\x00") {
		return "", fmt.Errorf("%s: want one line with a secret", path)
	}
	return string(secret), nil
}
