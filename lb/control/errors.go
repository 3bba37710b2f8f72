package control

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// BadMessage is a request or an answer that was refused: of each frontend the
// last request, of each backend the last answer.
type BadMessage struct {
	Event    uint64 // numbers all of the process, from 0
	Time     time.Time
	Client   netip.AddrPort
	Frontend string
	Backend  string // "" for a request that had not come to one
	Server   string // "" the same
	Answer   bool   // the server's; else the client's request
	HTTP2    bool   // the client speaks HTTP/2
	Reason   string
	Total    int    // bytes that were there
	At       int    // which of them is wrong
	From     int    // which of them Bytes begins with
	Bytes    []byte // around At

	// As HAProxy numbers them; -1 none.
	FrontendID, BackendID, ServerID int
}

// showErrors writes `show errors [<proxy>] [request|response]`.
func showErrors(c *session, args []string) {
	list, total := c.Runtime.BadMessages()
	if word(args, 0) == "json" {
		c.errorsJSON(list, total)
		return
	}
	var proxy string
	if len(args) > 0 {
		proxy = args[0]
		if !c.isProxy(proxy) {
			c.fail("No such proxy.")
			return
		}
	}
	c.say(fmt.Sprintf("Total events captured on [%s] : %d", time.Now().Format("02/Jan/2006:15:04:05.000"), total))
	slices.SortFunc(list, func(a, b BadMessage) int { return int(int64(a.Event) - int64(b.Event)) })
	for i := range list {
		m := &list[i]
		switch {
		case slices.Contains(args, "request") && m.Answer, slices.Contains(args, "response") && !m.Answer:
		case proxy != "" && proxy != "-1" && !m.concerns(proxy):
		default:
			c.out = m.append(c.out)
		}
	}
}

// errorsJSON writes what `lb errors --json` shows.
func (c *session) errorsJSON(list []BadMessage, total uint64) {
	type one struct {
		Event    uint64    `json:"event"`
		Time     time.Time `json:"time"`
		Client   string    `json:"client"`
		Frontend string    `json:"frontend"`
		Backend  string    `json:"backend,omitempty"`
		Server   string    `json:"server,omitempty"`
		Of       string    `json:"of"` // "request" or "response"
		HTTP2    bool      `json:"http2"`
		Reason   string    `json:"reason"`
		Total    int       `json:"length"`
		At       int       `json:"position"`
		From     int       `json:"from"`  // which of them bytes begins with
		Bytes    []byte    `json:"bytes"` // base64
	}
	events := []one{}
	for i := range list {
		m := &list[i]
		of := "request"
		if m.Answer {
			of = "response"
		}
		events = append(events, one{m.Event, m.Time, m.Client.String(), m.Frontend, m.Backend, m.Server, of, m.HTTP2, m.Reason, m.Total, m.At, m.From, m.Bytes})
	}
	c.json(map[string]any{"total": total, "events": events})
}

// isProxy says whether a word is the name or number of a proxy; -1 is all.
func (c *session) isProxy(word string) bool {
	for _, r := range c.Runtime.Snapshot().Rows {
		if r.Proxy == word || strings.TrimPrefix(word, "#") == strconv.Itoa(r.ProxyID) {
			return true
		}
	}
	return word == "-1"
}

func (m *BadMessage) concerns(proxy string) bool {
	id := strings.TrimPrefix(proxy, "#")
	return proxy == m.Frontend || proxy == m.Backend || id == strconv.Itoa(m.FrontendID) || id == strconv.Itoa(m.BackendID)
}

// append writes one message: whose it was, what is wrong with it, and its
// bytes, as HAProxy does.
func (m *BadMessage) append(dst []byte) []byte {
	side := fmt.Sprintf("%s (#%d)", orNone(m.Backend, "<NONE>"), m.BackendID)
	server := fmt.Sprintf("%s (#%d)", orNone(m.Server, "<NONE>"), m.ServerID)
	dst = fmt.Appendf(dst, " \n[%s] ", m.Time.Format("02/Jan/2006:15:04:05.000"))
	if m.Answer {
		dst = fmt.Appendf(dst, "backend %s: invalid response\n  frontend %s (#%d), server %s", side, m.Frontend, m.FrontendID, server)
	} else {
		dst = fmt.Appendf(dst, "frontend %s (#%d): invalid request\n  backend %s, server %s", m.Frontend, m.FrontendID, side, server)
	}
	protocol := "HTTP/1"
	if m.HTTP2 && !m.Answer {
		protocol = "HTTP/2, shown as HTTP/1"
	}
	dst = fmt.Appendf(dst, ", event #%d, src %s\n  len %d, shown from %d, error at position %d\n  %s: %s\n  \n",
		m.Event, m.Client, m.Total, m.From, m.At, protocol, m.Reason)
	for off := 0; off < len(m.Bytes); {
		dst, off = appendDumpLine(dst, m.Bytes, off, m.From)
	}
	return dst
}

// dumpWidth is how many characters a line of bytes shows.
const dumpWidth = 70

// appendDumpLine writes a line of bytes from off, to the end of their line or
// as many as fit, and returns where the next one begins.
func appendDumpLine(dst, b []byte, off, from int) ([]byte, int) {
	more := byte(' ')
	if off > 0 && b[off-1] != '\n' {
		more = '+'
	}
	dst = fmt.Appendf(dst, "  %05d%c ", from+off, more)
	for room := dumpWidth; off < len(b); off++ {
		shown := escape(b[off])
		if len(shown) > room {
			break
		}
		room -= len(shown)
		dst = append(dst, shown...)
		if b[off] == '\n' {
			off++
			break
		}
	}
	return append(dst, '\n'), off
}

// escape is a byte as HAProxy shows it.
func escape(c byte) string {
	switch c {
	case '\t':
		return `\t`
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case 0x1b:
		return `\e`
	case '\\':
		return `\\`
	}
	if c >= 0x20 && c < 0x7f {
		return string(rune(c))
	}
	return fmt.Sprintf(`\x%02X`, c)
}
