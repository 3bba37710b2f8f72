package certs

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Keys of session tickets.

func (s *Store) showKeys(name string) string {
	if name == "" {
		var b strings.Builder
		b.WriteString("# id (file)\n")
		for i, k := range s.keys {
			fmt.Fprintf(&b, "%d (%s)\n", i, k.file)
		}
		return b.String()
	}
	var b strings.Builder
	b.WriteString("# id secret\n")
	found := false
	for i, k := range s.keys {
		if name != "*" && !k.called(name, i) {
			continue
		}
		found = true
		fmt.Fprintf(&b, "# %d (%s)\n", i, k.file)
		for n, key := range k.keys {
			fmt.Fprintf(&b, "%d.%d %s\n", i, n, base64.StdEncoding.EncodeToString(key))
		}
	}
	if !found && name != "*" {
		return "'show tls-keys' unable to locate referenced filename"
	}
	return b.String()
}

// called reports whether a command means these keys: by "#" and their number, or
// by their file.
func (k *ticketFile) called(name string, id int) bool {
	return name == "#"+strconv.Itoa(id) || name == k.file
}

// setKey has a new key begin to decrypt, the one that came before it encrypt,
// and the oldest forgotten.
func (s *Store) setKey(name, text string) string {
	if name == "" || text == "" {
		return "'set ssl tls-key' expects a filename and the new TLS key in base64 encoding."
	}
	for i, k := range s.keys {
		if !k.called(name, i) {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return "'set ssl tls-key' received invalid base64 encoded TLS key."
		}
		if len(key) != len(k.keys[0]) {
			return "'set ssl tls-key' received a key of wrong size."
		}
		k.use(s, append(slices.Clone(k.keys[1:]), key))
		return "TLS ticket key updated!"
	}
	return "'set ssl tls-key' unable to locate referenced filename"
}

// use has the listeners of a file take other keys.
func (k *ticketFile) use(s *Store, keys [][]byte) {
	k.keys, k.changed = keys, true
	for _, l := range s.listeners {
		if l.o.TicketKeys == k.file {
			l.Config.SetSessionTicketKeys(sessionKeys(keys))
		}
	}
}
