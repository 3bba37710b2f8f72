package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lbsyslogd/lb/config"
)

// digest is a hash over all that a configuration is made of: its text, and the
// files that it names, certificates above all. `lb reload --if-changed`
// compares it. A file that cannot be read counts as empty: whether that is an
// error is for others to say.
func digest(cfg *config.Config) string {
	h := sha256.New()
	h.Write(cfg.Digest[:])
	for _, path := range named(cfg) {
		addPath(h, path)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// named lists the files and directories that the configuration names, but for
// those that were read with it.
func named(cfg *config.Config) []string {
	var paths []string
	for _, p := range cfg.Proxies {
		for i := range p.Binds {
			if t := p.Binds[i].TLS; t != nil {
				paths = append(paths, t.Files(&cfg.Global)...)
			}
		}
		for i := range p.Servers {
			paths = append(paths, serverFiles(&p.Servers[i].TLS)...)
		}
		statuses := make([]int, 0, len(p.ErrorFiles))
		for status := range p.ErrorFiles {
			statuses = append(statuses, status)
		}
		slices.Sort(statuses)
		for _, status := range statuses {
			paths = append(paths, p.ErrorFiles[status].Path)
		}
	}
	for _, s := range cfg.Peers {
		for i := range s.Binds {
			if t := s.Binds[i].TLS; t != nil {
				paths = append(paths, t.Files(&cfg.Global)...)
			}
		}
		for i := range s.Nodes {
			paths = append(paths, serverFiles(&s.Nodes[i].TLS)...)
		}
	}
	return paths
}

// serverFiles are those of TLS to a server or a peer.
func serverFiles(t *config.ServerTLS) (paths []string) {
	for _, file := range []string{t.CAFile, t.CRLFile, t.Cert} {
		if file != "" && !strings.HasPrefix(file, "@") {
			paths = append(paths, file)
		}
	}
	return paths
}

// addPath adds a file, or the files of a directory in order.
func addPath(h hash.Hash, path string) {
	io.WriteString(h, path+"\x00")
	entries, err := os.ReadDir(path)
	if err == nil {
		for _, e := range entries {
			addFile(h, filepath.Join(path, e.Name()))
		}
		return
	}
	addFile(h, path)
}

func addFile(h hash.Hash, path string) {
	io.WriteString(h, path+"\x00")
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return
	}
	_, _ = io.Copy(h, f)
}
