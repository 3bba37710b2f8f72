package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lbsyslogd/lb/cfgfile"
)

// Ring is a ring section: log lines in memory, and log servers that get each
// of them over TCP.
type Ring struct {
	Name    string
	About   string // what it is for, as `show events` shows it
	Format  string // of log lines that name none; "" is raw
	MaxLen  int    // longest line
	Size    int    // bytes kept
	Connect time.Duration
	Write   time.Duration
	Servers []RingServer
}

// RingServer is where the lines of a ring are sent.
type RingServer struct {
	Network, Address string // "tcp" or "unix"
	OctetCount       bool   // log-proto octet-count (RFC 6587)
}

// namedSections are caches, rings, mailers and resolvers, and which of them is being read.
type namedSections struct {
	caches
	atResolvers   *Resolvers // the resolvers section being read
	resolversUses []resolversUse
	mailers       []string // sections' names
	rings         map[string]*Ring
	atRing        *Ring                // being read
	missingRings  map[cfgfile.Pos]bool // log lines that named one in vain
}

// ringBuffer is HAProxy's default size of a ring and of its lines.
const ringBuffer = 16384

// beginRing opens a ring section.
func (p *parser) beginRing(args []string) error {
	p.skip = len(args) != 1
	if p.skip {
		return fmt.Errorf("'ring' expects a name")
	}
	if p.rings[args[0]] != nil {
		p.skip = true
		return fmt.Errorf("ring '%s' was declared before: give it another name", args[0])
	}
	p.atRing = &Ring{Name: args[0], About: args[0], MaxLen: ringBuffer, Size: ringBuffer}
	p.rings[args[0]] = p.atRing
	p.cfg.Rings = append(p.cfg.Rings, p.atRing)
	return nil
}

// ringLine applies a line of a ring section.
func (p *parser) ringLine(c *call, words []string) (err error) {
	r := p.atRing
	if words[0] == "timeout" && len(words) > 1 {
		words = append([]string{"timeout " + words[1]}, words[2:]...)
	}
	if len(words) < 2 {
		return fmt.Errorf("'%s' expects a value", words[0])
	}
	switch words[0] {
	case "description":
		r.About = words[1]
	case "format":
		r.Format = words[1]
		return oneOf("format", r.Format, logFormats()...)
	case "maxlen":
		r.MaxLen, err = number("maxlen", c.numeral("maxlen", words[1], cutsTail), 80, 1<<20)
	case "size":
		if r.Size, err = number("size", c.numeral("size", words[1], cutsTail), 1, 1<<31-1); err == nil && r.Size < ringBuffer {
			return fmt.Errorf("'size %s' is too small for a ring: %d is the least, and the default", words[1], ringBuffer)
		}
	case "timeout connect":
		r.Connect, err = duration(words[0], c.timed(words[0], words[1]), time.Millisecond)
	case "timeout server":
		r.Write, err = duration(words[0], c.timed(words[0], words[1]), time.Millisecond)
	case "server":
		return p.ringServer(r, words[1:])
	case "backing-file":
		p.report.Notef(c.pos, "'backing-file' is ignored: a ring is in memory only; syslogd keeps lines in files")
	default:
		return oneOf("ring", words[0], "description", "format", "maxlen", "server", "size", "timeout connect", "timeout server")
	}
	return err
}

// ringServer reads NAME ADDRESS [log-proto PROTO].
func (p *parser) ringServer(r *Ring, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("'server' expects <name> <address>:<port> [log-proto legacy|octet-count]")
	}
	var s Server
	if err := p.serverAddress(&s, words[1]); err != nil {
		return fmt.Errorf("'server %s/%s' : %w", r.Name, words[0], err)
	}
	to := RingServer{Network: s.Network, Address: s.Host}
	if s.Network == "tcp" {
		if s.Port == 0 {
			return fmt.Errorf("'server %s/%s' : missing port in '%s'", r.Name, words[0], words[1])
		}
		to.Address = joinPort(s.Host, s.Port)
	}
	for rest := words[2:]; len(rest) > 0; {
		switch {
		case rest[0] == "log-proto" && len(rest) > 1:
			to.OctetCount = rest[1] == "octet-count"
			if err := oneOf("log-proto", rest[1], "legacy", "octet-count"); err != nil {
				return err
			}
			rest = rest[2:]
		case rest[0] == "check": // a connection that is needed is the check
			rest = rest[1:]
		default:
			return fmt.Errorf("'server %s/%s' : '%s' is not supported by lb yet for a ring's server: name its address and log-proto only", r.Name, words[0], rest[0])
		}
	}
	r.Servers = append(r.Servers, to)
	return nil
}

// resolveRings checks the rings that log lines name, and gives those lines the
// format and the length of their ring.
func (p *parser) resolveRings(logs []Log) []Log {
	logs = slices.Clone(logs)
	for i := range logs {
		l := &logs[i]
		if l.Network != "ring" {
			continue
		}
		r := p.rings[l.Address]
		if r == nil {
			if !p.missingRings[l.Pos] {
				p.missingRings[l.Pos] = true
				p.report.Errorf(l.Pos, "log : unable to find ring '%s'%s", l.Address, didYouMean(cfgfile.Suggest(l.Address, sortedNames(p.rings))))
			}
			continue
		}
		if l.Format == "" {
			l.Format = r.Format
			if l.Format == "" {
				l.Format = "raw"
			}
		}
		l.Len = min(l.Len, r.MaxLen)
	}
	return logs
}

// logFormats are the forms of a log line's header; log lines know journal besides.
func logFormats() []string {
	return strings.Fields("local rfc3164 rfc5424 raw short priority timed iso")
}
