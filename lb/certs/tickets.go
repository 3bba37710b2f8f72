package certs

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
)

// TicketKeysNeeded is how many keys a file of ticket keys has to hold: the last
// ones are used, of which the last but one encrypts.
const TicketKeysNeeded = 3

// ParseTicketKeys reads a file of session ticket keys: one a line, in base64, of
// 48 or 80 bytes each.
func ParseTicketKeys(data []byte) ([][]byte, error) {
	var keys [][]byte
	for i, line := range bytes.Split(data, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		key, err := ParseTicketKey(string(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if len(keys) > 0 && len(keys[0]) != len(key) {
			return nil, fmt.Errorf("line %d: the key has %d bytes, the first one %d; they must be alike", i+1, len(key), len(keys[0]))
		}
		keys = append(keys, key)
	}
	if len(keys) < TicketKeysNeeded {
		return nil, fmt.Errorf("there are %d keys, and %d are needed: openssl rand 80 | openssl base64 -A | xargs echo", len(keys), TicketKeysNeeded)
	}
	return keys[len(keys)-TicketKeysNeeded:], nil
}

// ParseTicketKey reads one key.
func ParseTicketKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("the key is not in base64")
	}
	if len(key) != 48 && len(key) != 80 {
		return nil, fmt.Errorf("the key has %d bytes; 48 or 80 are needed", len(key))
	}
	return key, nil
}

// readTicketKeys reads the keys of a file.
func readTicketKeys(file string) ([][]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("tls-ticket-keys %s cannot be read: %w", file, cause(err))
	}
	defer clear(data)
	keys, err := ParseTicketKeys(data)
	if err != nil {
		return nil, fmt.Errorf("tls-ticket-keys %s: %w", file, err)
	}
	return keys, nil
}

// sessionKeys gives the keys in the form and order of crypto/tls, whose first
// encrypts. All that share a file come to the same ones; the tickets themselves
// are crypto/tls's, not HAProxy's.
func sessionKeys(keys [][]byte) [][32]byte {
	n := len(keys)
	order := append([][]byte{keys[n-2], keys[n-1]}, keys[:n-2]...)
	var out [][32]byte
	for _, k := range order {
		out = append(out, sha256.Sum256(append([]byte("lb ticket key\x00"), k...)))
	}
	return out
}
