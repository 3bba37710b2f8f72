package stats

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Page is what a stats page shows (the `stats ...` lines of a proxy).
type Page struct {
	URI         string        // of the page itself, without what follows ";"
	Refresh     time.Duration // 0: no automatic refresh
	HideVersion bool
	ShowNode    string // "" shows none
	ShowDesc    string // "" shows none
	ShowLegends bool   // addresses, algorithms and cookies
	// Scope, when not nil, names the only proxies to show (stats scope).
	Scope []string
	// Reloads is what is known of the generations; nil shows none.
	Reloads  *Reloads
	Past     *Past  // the last hour; nil shows none
	Pipeline []Pipe // where log lines go
	Requests uint64 // of this process, whose log lines they are
	// Prometheus is the path of the metrics page, shown as a link; "" if there
	// is none.
	Prometheus string
}

// Reloads is what the page says of the generations.
type Reloads struct {
	Generation    int
	Since         string // when this generation began
	Total, Failed int
	Last          string // when the last one worked
	Refused       string // why the last one failed; "" if it did not
}

// Answer is a rendered page.
type Answer struct {
	ContentType string
	Refresh     int // seconds, for a Refresh field; 0 is none
	Body        []byte
}

// Render answers a request for uri, which begins with p.URI: HTML, or CSV or
// JSON or typed lines after ";csv", ";json" or ";typed". ";norefresh" and
// ";up" (hide what is down) may follow, and "?scope=TEXT" shows only proxies
// whose name contains TEXT.
func (p *Page) Render(uri string, s *Snapshot) Answer { return p.RenderFor(uri, s, false) }

// RenderFor renders for somebody who may change things, if admin.
func (p *Page) RenderFor(uri string, s *Snapshot, admin bool) Answer {
	v := p.view(uri)
	v.admin = admin
	f := Filter{HideDown: v.up, HideSetup: !p.ShowLegends}
	shown := p.scoped(s, v.scope)
	a := Answer{Refresh: int(p.Refresh / time.Second)}
	if v.norefresh {
		a.Refresh = 0
	}
	switch v.form {
	case "csv":
		a.ContentType, a.Body = "text/plain", AppendCSV(nil, shown, f)
	case "typed":
		a.ContentType, a.Body = "text/plain", AppendTyped(nil, shown, f, false)
	case "json":
		a.ContentType, a.Body = "application/json", AppendJSON(nil, shown, f)
	case "json-schema":
		a.ContentType, a.Body = "application/json", []byte(Schema)
	default:
		a.ContentType, a.Body = "text/html", p.appendHTML(make([]byte, 0, pageRoom+rowRoom*len(shown.Rows)), shown, v, a.Refresh)
	}
	return a
}

// What a page takes at most, roughly: in all, and for a row.
const pageRoom, rowRoom = 64 << 10, 640

// view is what a request asks of the page.
type view struct {
	form      string // "", "csv", "typed", "json", "json-schema"
	up        bool
	norefresh bool
	scope     string
	result    string // of the form that was posted: a key of Results
	admin     bool   // the reader may change things
}

// view reads what follows the page's URI.
func (p *Page) view(uri string) view {
	var v view
	rest, ok := strings.CutPrefix(uri, p.URI)
	if !ok {
		return v
	}
	if i := strings.Index(rest, "scope="); i >= 0 {
		scope := rest[i+len("scope="):]
		rest = rest[:i]
		if j := strings.IndexAny(scope, ";&"); j >= 0 {
			rest += scope[j:]
			scope = scope[:j]
		}
		const most = 20 // of HAProxy's form field
		v.scope = unescape(scope)
		v.scope = v.scope[:min(len(v.scope), most)]
	}
	for word := range strings.FieldsFuncSeq(rest, func(r rune) bool { return r == ';' || r == '?' || r == '&' }) {
		if result, ok := strings.CutPrefix(word, "st="); ok {
			v.result = result
		}
		switch word {
		case "csv", "typed", "json", "json-schema":
			v.form = word
		case "up":
			v.up = true
		case "norefresh":
			v.norefresh = true
		}
	}
	return v
}

// unescape undoes the encoding of a form field; what is not one stays.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s):
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
			b.WriteByte('%')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// scoped is the part of s that the page and the request let see.
func (p *Page) scoped(s *Snapshot, scope string) *Snapshot {
	if p.Scope == nil && scope == "" {
		return s
	}
	part := &Snapshot{Info: s.Info}
	for i := range s.Rows {
		name := s.Rows[i].Proxy
		if strings.Contains(name, scope) && (p.Scope == nil || slices.Contains(p.Scope, name)) {
			part.Rows = append(part.Rows, s.Rows[i])
		}
	}
	return part
}
