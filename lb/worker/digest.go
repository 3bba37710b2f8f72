package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/lookup"
)

// File is a file that a configuration names, as it was when the configuration
// was read.
type File struct {
	Kind string `json:"kind"` // "file" (certificates and their kin, error pages), "map" or "acl"
	Path string `json:"path"`
	Sum  string `json:"sum"` // "" for one that could not be read
}

// kept is a source in a snapshot. The first has the files.
type kept struct {
	cfgfile.Source
	Loaded *[]File `json:",omitempty"` // nil of a release that did not keep them
}

func keptSources(sources []cfgfile.Source, files []File) []kept {
	list := make([]kept, len(sources))
	for i, s := range sources {
		list[i].Source = s
	}
	if len(list) > 0 {
		list[0].Loaded = &files
	}
	return list
}

// SnapshotFiles are the files of a snapshot. ok is false for one of a release that
// did not keep them.
func SnapshotFiles(snapshot []byte) (files []File, ok bool) {
	var list []struct{ Loaded *[]File }
	if err := json.Unmarshal(snapshot, &list); err != nil || len(list) == 0 || list[0].Loaded == nil {
		return nil, false
	}
	return *list[0].Loaded, true
}

// Files are the files that a configuration names, each once, directories as what
// they hold. A file that cannot be read counts as empty: whether that is an error
// is for others to say.
func Files(cfg *config.Config) []File {
	list := []File{}
	seen := map[string]bool{}
	add := func(path string) {
		if !seen[path] {
			seen[path] = true
			list = append(list, File{"file", path, sumOf(path)})
		}
	}
	for _, path := range named(cfg) {
		entries, err := os.ReadDir(path)
		if err != nil {
			add(path)
			continue
		}
		for _, e := range entries {
			add(filepath.Join(path, e.Name()))
		}
	}
	for _, f := range cfg.Files { // which were read with the configuration
		kind := "acl"
		if f.Map {
			kind = "map"
		}
		h := sha256.New()
		var line []byte
		f.Each(func(e *lookup.Entry) {
			line = append(append(append(append(line[:0], e.Key...), 0), e.Value...), '\n')
			h.Write(line)
		})
		list = append(list, File{kind, f.Path, hex.EncodeToString(h.Sum(nil))})
	}
	return list
}

// digest is a hash over all that a configuration is made of: its text, and the
// files that it names, certificates above all. `lb reload --if-changed`
// compares it.
func digest(cfg *config.Config, files []File) string {
	h := sha256.New()
	h.Write(cfg.Digest[:])
	for _, f := range files {
		fmt.Fprintf(h, "%s\x00%s\x00%s\x00", f.Kind, f.Path, f.Sum)
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

// sumOf is a sum of what a file holds; "" for what is no file that can be read.
func sumOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}
