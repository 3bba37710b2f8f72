package config

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/net/http/httpguts"

	"lbsyslogd/syslogd/sink/encode"
)

// HTTP is a receiver of logs over HTTP, at one address or at several.
type HTTP struct {
	URLs         []*url.URL // the preferred one first
	Encoding     string
	Options      encode.Options
	Compress     string        // gzip, zstd or none
	Timeout      time.Duration // for a request; 0: the sink's default
	Headers      map[string]string
	HeaderFiles  map[string]string // files with the values
	BearerFile   string
	User         string // for basic authentication
	PasswordFile string
}

// httpSchemes are those of HTTP, and of names of DNS SRV records.
var httpSchemes = []string{"http", "https", "http+srv", "https+srv"}

// httpKeys are the keys of a receiver of HTTP.
func (d *decoder) httpKeys(f *Forward) map[string]func(*yaml.Node) {
	h := &HTTP{}
	f.HTTP = h
	return d.tlsKeys(f, d.batchKeys(f, map[string]func(*yaml.Node){
		"to":           func(n *yaml.Node) { d.list(n, d.httpURL(f)) },
		"encoding":     func(n *yaml.Node) { h.Encoding = d.choice(n, encode.Names()...) },
		"fields":       func(n *yaml.Node) { h.Options.Plain = d.choice(n, "haproxy", "message") == "message" },
		"labels":       d.texts(&h.Options.Labels),
		"metadata":     func(n *yaml.Node) { d.boolean(&h.Options.NoMeta)(n); h.Options.NoMeta = !h.Options.NoMeta },
		"index":        d.text(&h.Options.Index),
		"compress":     func(n *yaml.Node) { h.Compress = d.choice(n, "none", "gzip", "zstd") },
		"timeout":      d.duration(&h.Timeout),
		"headers":      d.headers(&h.Headers, "the value", d.headerValue),
		"header_files": d.headers(&h.HeaderFiles, "the file", d.peersFile),
		"bearer_file":  d.peersFile(&h.BearerFile),
		"basic": func(n *yaml.Node) {
			d.mapping(n, "basic", map[string]func(*yaml.Node){"user": d.text(&h.User), "password_file": d.peersFile(&h.PasswordFile)})
			if (h.User == "") != (h.PasswordFile == "") {
				d.add(n, "basic wants a user and a password_file")
			}
		},
	}))
}

// batchKeys are the keys of all sinks.
func (d *decoder) batchKeys(f *Forward, keys map[string]func(*yaml.Node)) map[string]func(*yaml.Node) {
	maps.Copy(keys, map[string]func(*yaml.Node){
		"batch": func(n *yaml.Node) {
			d.mapping(n, "batch", map[string]func(*yaml.Node){
				"size":  d.sizeBetween(&f.Batch.Size, 1<<10, 64<<20),
				"lines": d.count(&f.Batch.Lines, 1),
				"age":   d.duration(&f.Batch.Age),
			})
		},
		"backoff": d.duration(&f.Batch.Backoff),
	})
	return keys
}

func (d *decoder) checkHTTP(n *yaml.Node, f *Forward) {
	h := f.HTTP
	if h.Encoding == "" {
		d.add(n, "forward to %s has no encoding; want for example {to: %s, encoding: ndjson}; known are %s", f, f, strings.Join(encode.Names(), ", "))
	}
	if _, err := encode.New(h.Encoding, h.Options); err != nil && h.Encoding != "" {
		d.add(n, "%v", err)
	}
	if h.Compress == "zstd" && h.Encoding != "" && !encode.Zstd(h.Encoding) {
		d.add(n, "receivers of %s take no zstd; want compress: gzip", h.Encoding)
	}
	if h.BearerFile != "" && h.User != "" {
		d.add(n, "forward has a bearer_file and basic; the receiver can be given one of them")
	}
	for name := range h.HeaderFiles {
		if _, both := h.Headers[name]; both {
			d.add(n, "the header %s is in headers and in header_files", name)
		}
		if name == "Authorization" && (h.BearerFile != "" || h.User != "") {
			d.add(n, "the header Authorization is made of bearer_file or basic, and is in header_files too")
		}
	}
	secure := slices.ContainsFunc(h.URLs, func(u *url.URL) bool { return strings.HasPrefix(u.Scheme, "https") })
	d.checkTLS(n, f, secure, "an address with https://")
}

// httpURL reads an address. The first one names the peer.
func (d *decoder) httpURL(f *Forward) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		u, err := url.Parse(text)
		switch {
		case err != nil || !slices.Contains(httpSchemes, u.Scheme) || u.Hostname() == "" || u.Opaque != "":
			return fmt.Errorf("forward %q: want http[s]://HOST[:PORT][/PATH], or http[s]+srv://NAME[/PATH] for a name with DNS SRV records", redact(text))
		case u.User != nil:
			return fmt.Errorf("forward to %s: a password belongs in a file; want basic: {user: %s, password_file: FILE}", u.Host, u.User.Username())
		case u.Fragment != "":
			return fmt.Errorf("forward %q: a fragment (#...) is not sent to anybody; take it out", redact(text))
		case strings.HasSuffix(u.Scheme, "+srv") && u.Port() != "":
			return fmt.Errorf("forward %q: the port comes from the SRV records; take it out", redact(text))
		}
		if u.Port() != "" {
			if _, _, err := splitAddress(u.Host); err != nil {
				return fmt.Errorf("forward %q: %w", redact(text), err)
			}
		}
		if f.Address == "" {
			f.Scheme, f.Address = u.Scheme, u.Host+u.Path
		}
		f.HTTP.URLs = append(f.HTTP.URLs, u)
		return nil
	})
}

// redact is an address without what may be a password or a key. Half of a password with a slash in it looks like a host: then nothing is left.
func redact(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if found {
		scheme += "://"
	} else {
		scheme, rest = "", text
	}
	host, tail := rest, ""
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		host, tail = rest[:end], rest[end:]
	}
	if strings.Contains(tail, "@") {
		return scheme + "..."
	}
	if end := strings.IndexAny(tail, "?#"); end >= 0 {
		tail = tail[:end]
	}
	return scheme + host[strings.LastIndexByte(host, '@')+1:] + tail
}

// secretHeader are names of headers whose values are secrets.
var secretHeader = regexp.MustCompile(`(?i)auth|cookie|key|token|secret|password`)

// ourHeaders are those that a request has anyway.
var ourHeaders = []string{"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Host", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// headers reads a mapping of names to whatever value reads.
func (d *decoder) headers(to *map[string]string, what string, value func(to *string) func(*yaml.Node)) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			d.add(n, "want a mapping of a header's name to %s; this is %s", what, kind(n))
			return
		}
		*to = make(map[string]string)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			name := http.CanonicalHeaderKey(key.Value)
			switch {
			case !httpguts.ValidHeaderFieldName(key.Value):
				d.add(key, "%q is not the name of a header", key.Value)
			case slices.Contains(ourHeaders, name):
				d.add(key, "the header %s is made by syslogd; take it out", name)
			case (*to)[name] != "":
				d.add(key, "%q is there twice", name)
			default:
				var text string
				value(&text)(resolve(n.Content[i+1]))
				(*to)[name] = text
			}
			if what == "the value" && secretHeader.MatchString(name) {
				d.add(key, "the value of %s looks like a secret, which belongs in a file; want header_files: {%s: FILE}", name, name)
			}
		}
	}
}

// texts reads a mapping of names to texts.
func (d *decoder) texts(to *map[string]string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			d.add(n, "want a mapping of names to values; this is %s", kind(n))
			return
		}
		*to = make(map[string]string)
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			if _, twice := (*to)[name]; twice {
				d.add(n.Content[i], "%q is there twice", name)
			}
			var text string
			d.text(&text)(resolve(n.Content[i+1]))
			(*to)[name] = text
		}
	}
}

// headerValue reads what a header may have.
func (d *decoder) headerValue(to *string) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		if text == "" || !httpguts.ValidHeaderFieldValue(text) {
			return errors.New("this is not the value of a header: it is empty, or has characters that none may have")
		}
		*to = text
		return nil
	})
}
