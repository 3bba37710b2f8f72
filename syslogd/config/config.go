// Package config reads syslogd.yaml. It is strict: an unknown key, a value of the wrong kind and a contradiction are errors with
// their line, and all of them are reported at once.
package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/format"
	"lbsyslogd/syslogd/peers"
	"lbsyslogd/syslogd/route"
)

// Config is a checked configuration.
type Config struct {
	Listen     []Listener
	Control    Control
	Host       string // name for messages of this host that carry none; empty: the kernel's host name
	MaxMessage int    // bytes of a message that are kept
	Refuse     bool   // drop larger messages instead of keeping their beginning
	Memory     int64  // bytes that may wait in all outputs together
	Buffer     int    // bytes of receive buffer to ask the kernel for, for each socket
	Allow      []netip.Prefix
	Outputs    []Output
	Metrics    string         // address of the Prometheus endpoint; empty: none
	Zone       *time.Location // of the times we give ourselves; nil: local
	Warnings   []string       // what does not work yet, with the lines: files for the peers of forward

	// For TCP and TLS.
	Connections, ConnectionsEach int           // at most, in total and from one address
	Idle                         time.Duration // after which a silent connection ends
	TLS                          TLS
}

// TLS is the server's side of it.
type TLS struct {
	Cert, Key, ClientCA string
	Names               []string // that clients' certificates may have, as shell patterns
}

// Listener is a place to receive from, and how.
type Listener struct {
	Listen
	Readers int        // of UDP; 0: one
	Limit   route.Rate // of each sender
}

// Listen is one place to receive from.
type Listen struct {
	Scheme  string // udp, tcp, tls, relp, relp+tls, unix or systemd
	Address string // host:port, path, or the name of systemd's socket
}

func (l Listen) String() string {
	if l.Scheme == "systemd" {
		return "systemd:" + l.Address
	}
	return l.Scheme + "://" + l.Address
}

// Stream says whether it is for connections over TCP.
func (l Listen) Stream() bool { return l.Scheme == "tcp" || l.Scheme == "tls" || l.RELP() }

// Secure says whether these begin with TLS.
func (l Listen) Secure() bool { return l.Scheme == "tls" || l.Scheme == "relp+tls" }

// RELP says whether they speak RELP.
func (l Listen) RELP() bool { return l.Scheme == "relp" || l.Scheme == "relp+tls" }

// Control is the socket that the commands reopen, rotate, flush and status talk to.
type Control struct {
	Path string
	Mode os.FileMode
}

// Output is one file and what goes to it.
type Output struct {
	Name   string
	Rule   route.Rule // without its Output
	Path   string
	Rotate rotate.Options // without Log and Compressor
	Owner  string         // user name or number, empty: as is
	Group  string
	Queue  int // bytes on the way to the file
	Limit  route.Rate
	Zone   string // the configuration's, for the schedule; empty: local

	Forward *Forward // nil: nowhere
	Files   *Files   // nil: Path is one file, and otherwise a template
}

// Files are what an output's path stands for when messages choose the file.
type Files struct {
	Base     string // directory beneath which all of them are
	Template string // of the path from there
	Open     int    // files open at a time
	Names    int    // different names in a day
}

// Forward is where what an output has written is sent besides: another syslog server, or a sink.
type Forward struct {
	Scheme  string // tcp or tls; of a sink, what it is reached with
	Address string // host:port, the first one
	// Peers are all addresses of tcp, tls, relp and relp+tls, the one that is wanted most first.
	Peers []peers.Entry
	// For TLS: whose certificates to believe (empty: the system's), the name that the peer's must have (empty: the host of Address), and
	// our own.
	CA, Name, Cert, Key string
	// Confirm is what says that a syslog server has taken lines: close, close_notify or acknowledged; empty: close.
	Confirm string

	Batch Batch  // of a sink
	HTTP  *HTTP  // nil: the peer is no receiver of HTTP
	Kafka *Kafka // nil: it is no Kafka
}

func (f Forward) String() string {
	if len(f.Peers) == 0 {
		return f.Scheme + "://" + f.Address
	}
	var all []string
	for _, p := range f.Peers {
		scheme := f.Scheme
		if p.SRV {
			scheme += srvSuffix
		}
		all = append(all, scheme+"://"+p.Address)
	}
	return strings.Join(all, ", ")
}

// RELP says whether the peer speaks RELP.
func (f Forward) RELP() bool { return f.Scheme == "relp" || f.Scheme == "relp+tls" }

// Sink says whether the peer acknowledges batches, and is no syslog server.
func (f Forward) Sink() bool { return f.HTTP != nil || f.Kafka != nil || f.RELP() }

// Batch is when lines are sent to a sink; what is 0 is the sink's default.
type Batch struct {
	Size    int           // bytes
	Lines   int           // in one request
	Age     time.Duration // of the oldest line
	Backoff time.Duration // longest pause between attempts
}

// The values of what a configuration leaves out.
const (
	DefaultPath    = "/etc/syslogd/syslogd.yaml"
	DefaultControl = "/run/syslogd/control.sock"
	DefaultFile    = "/var/log/lb/lb.log"
	DefaultListen  = "udp://127.0.0.1:514"
	// DefaultSelect leaves out what the daemon says of itself: that goes to its journal.
	DefaultSelect  = "*.*;syslog.none"
	defaultMessage = 8 << 10
	defaultBuffer  = 64 << 20
	defaultQueue   = 8 << 20
	defaultMemory  = 256 << 20
	smallMessage   = 480 // RFC 5424 section 6.1: every receiver must take at least this
	largeMessage   = 64 << 10
	largestFile    = 1 << 20 // of a configuration: more is a mistake

	defaultConnections     = 4096
	defaultConnectionsEach = 256
	defaultIdle            = 24 * time.Hour

	defaultHold = 10e9 // bytes on the disk that wait for a peer

	// Batches of RELP: what is under way when syslogd is killed comes twice, and nothing is won by more.
	relpLines = 2000
	relpAge   = 200 * time.Millisecond

	defaultOpen  = 100
	defaultNames = 1000
)

// Default is what runs without a configuration file.
func Default() *Config {
	c := blank()
	c.Listen = []Listener{{Listen: Listen{"udp", strings.TrimPrefix(DefaultListen, "udp://")}}}
	o := blankOutput()
	o.Name, o.Path = DefaultFile, DefaultFile
	c.Outputs = []Output{o}
	return c
}

func blank() *Config {
	return &Config{
		Control:    Control{Path: DefaultControl, Mode: 0o660},
		MaxMessage: defaultMessage, Buffer: defaultBuffer, Memory: defaultMemory,
		Connections: defaultConnections, ConnectionsEach: defaultConnectionsEach, Idle: defaultIdle,
	}
}

// blankOutput takes everything into files of at most 100 MB or a day, of which it keeps 90.
func blankOutput() Output {
	everything, err := route.ParseSelector(DefaultSelect)
	if err != nil {
		panic(err) // a constant of this file
	}
	daily, err := rotate.ParseSchedule("day")
	if err != nil {
		panic(err) // a constant of this file
	}
	return Output{
		Rule:   route.Rule{Select: everything},
		Queue:  defaultQueue,
		Rotate: rotate.Options{Size: 100e6, Schedule: daily, Keep: 90, Compress: rotate.Zstd},
	}
}

// Load reads and checks a file, and whether this machine has the users and certificates that it names.
func Load(path string) (*Config, error) {
	c, d, err := load(path)
	if err != nil {
		return nil, err
	}
	for _, check := range d.peers {
		check()
	}
	c.Warnings = d.errs
	return c, nil
}

// Check is Load for whoever wants to know what does not work. It also looks at what a daemon only reports, because it may be there by the time
// it is needed: the files for the peers of forward, and names of addresses to listen on.
func Check(path string) error {
	_, d, err := load(path)
	if err != nil {
		return err
	}
	for _, check := range append(d.peers, d.later...) {
		check()
	}
	if len(d.errs) > 0 {
		return d.errs
	}
	return nil
}

func load(path string) (*Config, *decoder, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, largestFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > largestFile {
		return nil, nil, fmt.Errorf("%s is larger than a megabyte; that is no configuration", path)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, nil, err
	}
	c, d, err := parse(path, dir, text)
	if err != nil {
		return nil, nil, err
	}
	for _, check := range d.here {
		check()
	}
	if len(d.errs) > 0 {
		return nil, nil, d.errs
	}
	return c, d, nil
}

// Parse reads and checks text. name is what the errors call it. The error is an Errors.
func Parse(name string, text []byte) (*Config, error) {
	c, _, err := parse(name, "", text)
	return c, err
}

func parse(name, dir string, text []byte) (*Config, *decoder, error) {
	d := &decoder{file: name, dir: dir}
	var doc yaml.Node
	parser := yaml.NewDecoder(bytes.NewReader(text))
	if err := parser.Decode(&doc); err != nil {
		if err == io.EOF {
			return nil, d, Errors{fmt.Sprintf("%s:1: the file is empty; it wants at least listen and outputs", name)}
		}
		return nil, d, Errors{d.syntax(text, err)}
	}
	if second := new(yaml.Node); parser.Decode(second) != io.EOF {
		return nil, d, Errors{fmt.Sprintf("%s:%d: there is more than one document; keep the first", name, max(second.Line, 1))}
	}
	c := blank()
	root := doc.Content[0]
	d.mapping(root, "the configuration", map[string]func(*yaml.Node){
		"listen":         func(n *yaml.Node) { d.list(n, func(n *yaml.Node) { d.listen(n, c) }) },
		"control":        d.socketPath(&c.Control.Path),
		"control_mode":   d.mode(&c.Control.Mode),
		"host":           d.word(&c.Host),
		"metrics":        d.address(&c.Metrics),
		"time_zone":      d.zone(&c.Zone),
		"max_message":    d.sizeBetween(&c.MaxMessage, smallMessage, largeMessage),
		"oversized":      func(n *yaml.Node) { c.Refuse = d.choice(n, "cut", "refuse") == "refuse" },
		"receive_buffer": d.size(&c.Buffer),
		"memory":         d.bytes(&c.Memory),
		"connections":    func(n *yaml.Node) { d.connections(n, c) },
		"tls":            func(n *yaml.Node) { d.tls(n, &c.TLS) },
		"allow":          func(n *yaml.Node) { d.list(n, d.network(&c.Allow)) },
		"outputs":        func(n *yaml.Node) { d.list(n, func(n *yaml.Node) { d.output(n, c) }) },
	})
	for i := range c.Outputs {
		if c.Zone != nil {
			c.Outputs[i].Zone = c.Zone.String()
		}
	}
	for _, l := range c.Listen {
		if l.Secure() && c.TLS.Cert == "" {
			d.add(root, "listens on %s without a certificate; add for example: tls: {cert: /etc/syslogd/server.pem, key: /etc/syslogd/server.key}", l)
		}
	}
	d.toItself(root, c)
	if len(c.Listen) == 0 && len(d.errs) == 0 {
		d.add(root, "nothing to listen on; add for example: listen: [%s]", DefaultListen)
	}
	if len(c.Outputs) == 0 && len(d.errs) == 0 {
		d.add(root, "no outputs; add for example: outputs: [{match: \"*.*\", file: %s}]", DefaultFile)
	}
	if len(d.errs) > 0 {
		return nil, d, d.errs
	}
	return c, d, nil
}

func (d *decoder) connections(n *yaml.Node, c *Config) {
	d.mapping(n, "connections", map[string]func(*yaml.Node){
		"most":      d.count(&c.Connections, 1),
		"most_each": d.count(&c.ConnectionsEach, 1),
		"idle":      d.duration(&c.Idle),
	})
}

func (d *decoder) tls(n *yaml.Node, t *TLS) {
	before := len(d.errs)
	d.mapping(n, "tls", map[string]func(*yaml.Node){
		"cert":         d.path(&t.Cert),
		"key":          d.path(&t.Key),
		"client_ca":    d.path(&t.ClientCA),
		"client_names": func(n *yaml.Node) { d.list(n, d.pattern(&t.Names)) },
	})
	if len(d.errs) > before {
		return
	}
	if t.Key == "" {
		t.Key = t.Cert // one file may hold both
	}
	if t.Cert == "" {
		d.add(n, "tls has no cert")
	}
	if t.Names != nil && t.ClientCA == "" {
		d.add(n, "client_names mean nothing without client_ca, which says whose certificates to believe")
	}
	d.here = append(d.here, func() {
		if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
			d.add(n, "certificate %s with key %s: %v", t.Cert, t.Key, err)
		}
		if t.ClientCA == "" {
			return
		}
		if pem, err := os.ReadFile(t.ClientCA); err != nil {
			d.add(n, "client_ca: %v", err)
		} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			d.add(n, "client_ca: %s has no certificate", t.ClientCA)
		}
	})
}

func (d *decoder) output(n *yaml.Node, c *Config) {
	before := len(d.errs)
	o := blankOutput()
	files := Files{Open: defaultOpen, Names: defaultNames}
	r := &o.Rule
	d.mapping(n, "the output", map[string]func(*yaml.Node){
		"name":    d.text(&o.Name),
		"match":   d.selector(&r.Select),
		"tag":     func(n *yaml.Node) { d.list(n, d.pattern(&r.Tags)) },
		"host":    func(n *yaml.Node) { d.list(n, d.pattern(&r.Hosts)) },
		"from":    func(n *yaml.Node) { d.list(n, d.network(&r.From)) },
		"msgid":   func(n *yaml.Node) { d.list(n, d.pattern(&r.MsgIDs)) },
		"data":    d.regexp(&r.Data),
		"text":    d.regexp(&r.Text),
		"final":   d.boolean(&r.Final),
		"format":  d.format(&r.Format),
		"file":    d.path(&o.Path),
		"mode":    d.mode(&o.Rotate.Mode),
		"owner":   d.named(&o.Owner, findUser),
		"group":   d.named(&o.Group, findGroup),
		"queue":   d.size(&o.Queue),
		"ring":    d.size(&o.Rotate.Ring),
		"sync":    d.sync(&o.Rotate.Sync),
		"chain":   d.boolean(&o.Rotate.Chain),
		"rotate":  func(n *yaml.Node) { d.rotation(n, &o.Rotate) },
		"forward": func(n *yaml.Node) { d.forward(n, &o) },
		"files":   func(n *yaml.Node) { d.files(n, &files) },
		"limit":   func(n *yaml.Node) { d.limit(n, &o.Limit) },
	})
	if strings.Contains(o.Path, "%") {
		d.template(n, &o, files)
	}
	if o.Forward != nil && len(d.errs) == before {
		d.forwardable(n, o)
	}
	if o.Path == "" && len(d.errs) == before {
		d.add(n, "the output has no file")
	}
	if o.Path != "" {
		o.Path = filepath.Clean(o.Path)
	}
	if name := filepath.Base(o.Path); o.Files == nil && len(name) > rotate.LongestName && (o.Rotate.Size > 0 || o.Rotate.Schedule != nil) {
		d.add(n, "the name of %s has %d bytes; with what a rotation adds it may have %d", o.Path, len(name), rotate.LongestName)
	}
	if o.Name == "" {
		o.Name = o.Path
	}
	for _, other := range c.Outputs {
		if other.Path == o.Path && o.Path != "" {
			d.add(n, "two outputs write to %s; give one of them both selectors, separated by \";\"", o.Path)
		}
		for _, pair := range [][2]Output{{o, other}, {other, o}} {
			if pair[0].Rotate.Rotates(pair[0].Path, pair[1].Path) {
				d.add(n, "%s reads as a rotated file of %s, which would compress or remove it; give one of them another name", pair[1].Path, pair[0].Path)
			}
		}
		if other.Name == o.Name && other.Path != o.Path {
			d.add(n, "two outputs are called %q", o.Name)
		}
	}
	d.apart(n, c, o)
	c.Outputs = append(c.Outputs, o)
}

// rotation reads what stands under rotate. Whoever writes it says all of it: no default of ours rotates besides.
func (d *decoder) rotation(n *yaml.Node, o *rotate.Options) {
	o.Size, o.Schedule, o.Keep, o.Compress, o.Naming = 0, nil, 0, rotate.None, ""
	if n.Kind == yaml.ScalarNode && n.Value == "never" {
		return
	}
	d.mapping(n, "rotate", map[string]func(*yaml.Node){
		"size":           d.bytes(&o.Size),
		"every":          d.schedule(&o.Schedule),
		"naming":         func(n *yaml.Node) { o.Naming = rotate.Naming(d.choice(n, "dated", "numbered")) },
		"keep":           d.count(&o.Keep, 0),
		"max_age":        d.duration(&o.MaxAge),
		"max_total":      d.bytes(&o.MaxTotal),
		"min_free":       d.bytes(&o.MinFree),
		"compress":       func(n *yaml.Node) { o.Compress = rotate.Compression(d.choice(n, "none", "gzip", "zstd")) },
		"compress_after": d.duration(&o.CompressAfter),
	})
	if o.Naming == rotate.Numbered && o.Keep == 0 && o.MaxAge == 0 && o.MaxTotal == 0 && o.MinFree == 0 {
		d.add(n, "numbered files are all renamed at each rotation, so there must be an end to them; add keep, max_age, max_total or min_free")
	}
}

func (d *decoder) selector(to *route.Selector) func(*yaml.Node) {
	return d.scalar(func(text string) (err error) { *to, err = route.ParseSelector(text); return err })
}

func (d *decoder) schedule(to *rotate.Schedule) func(*yaml.Node) {
	return d.scalar(func(text string) (err error) { *to, err = rotate.ParseSchedule(text); return err })
}

func (d *decoder) zone(to **time.Location) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		switch text {
		case "local":
			*to = nil
			return nil
		case "utc", "UTC":
			*to = time.UTC
			return nil
		}
		zone, err := time.LoadLocation(text)
		if err != nil || text == "" || text == "Local" {
			return fmt.Errorf("%q is not a time zone; local, utc and names such as Europe/Berlin are", text)
		}
		*to = zone
		return nil
	})
}

func (d *decoder) regexp(to **regexp.Regexp) func(*yaml.Node) {
	return d.scalar(func(text string) (err error) { *to, err = regexp.Compile(text); return err })
}

// format reads the name of a format, or "{template: TEXT}".
func (d *decoder) format(to *string) func(*yaml.Node) {
	named := func(prefix string) func(*yaml.Node) {
		return d.scalar(func(text string) error {
			if prefix == "" && strings.Contains(text, ":") {
				return fmt.Errorf("format %q is not known; for a template write {template: \"%%host%% %%text%%\"}", text)
			}
			*to = prefix + text
			_, err := format.New(*to)
			return err
		})
	}
	return func(n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			named("")(n)
			return
		}
		d.mapping(n, "format", map[string]func(*yaml.Node){"template": named(format.TemplatePrefix)})
	}
}

func (d *decoder) pattern(to *[]string) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		if _, err := filepath.Match(text, ""); err != nil {
			return fmt.Errorf("%q is not a shell pattern: %w", text, err)
		}
		*to = append(*to, text)
		return nil
	})
}

func (d *decoder) network(to *[]netip.Prefix) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor an address", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		*to = append(*to, p.Masked())
		return nil
	})
}

func (d *decoder) address(to *string) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		*to = text
		if _, _, err := splitAddress(text); err != nil {
			return fmt.Errorf("%q is not an address such as 127.0.0.1:9516: %w", text, err)
		}
		return nil
	})
}

func (d *decoder) sync(to *rotate.SyncPolicy) func(*yaml.Node) {
	return func(n *yaml.Node) {
		switch d.choice(n, "never", "rotate", "interval", "always") {
		case "never":
			*to = rotate.SyncNever
		case "interval":
			*to = rotate.SyncInterval
		case "always":
			*to = rotate.SyncAlways
		}
	}
}

// parseDuration adds days and weeks to what time.ParseDuration reads.
func parseDuration(text string) (time.Duration, error) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			var n int
			if _, err := fmt.Sscanf(number+"\n", "%d\n", &n); err == nil && n > 0 && n < 40000 {
				return time.Duration(n) * length, nil
			}
		}
	}
	t, err := time.ParseDuration(text)
	if err != nil || t < 0 {
		return 0, fmt.Errorf("%q is not a duration such as 30s, 12h or 90d", text)
	}
	return t, nil
}
