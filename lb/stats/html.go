package stats

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html"
	"strconv"
	"strings"
)

// pageStyle needs no script and no other file; colours follow the reader's
// preference for dark or light.
//
//go:embed page.css
var pageStyle string

// ContentPolicy is the page's Content-Security-Policy: its own style, its own
// forms, and nothing else.
var ContentPolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// appendHTML writes the page: the process, what has trouble, then a table for
// each proxy with HAProxy's columns.
func (p *Page) appendHTML(dst []byte, s *Snapshot, v view, refresh int) []byte {
	in := &s.Info
	w := page{dst}
	w.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">")
	if refresh > 0 {
		w.raw(`<meta http-equiv="refresh" content="`).int(refresh).raw(`">`)
	}
	w.raw("<title>Statistics Report for ").text(in.Name).raw("</title><link rel=\"icon\" href=\"data:,\"><style>").raw(pageStyle).
		raw("</style></head><body>\n<a class=\"skip\" href=\"#proxies\">to the proxies</a>\n<header><h1>").text(in.Name)
	if !p.HideVersion {
		w.raw(" ").text(in.Version)
	}
	w.raw(" <small>pid ").int(in.Pid)
	if p.ShowNode != "" {
		w.raw(" on <b>").text(p.ShowNode).raw("</b>")
	}
	w.raw(", up ").raw(Uptime(in.uptime())).raw("</small></h1>\n")
	if p.ShowDesc != "" {
		w.raw("<p>").text(p.ShowDesc).raw("</p>\n")
	}
	w.raw("</header>\n<main>\n")
	p.htmlMessage(&w, v)
	p.htmlTrouble(&w, s)
	p.htmlReloads(&w)
	p.htmlMoved(&w)
	p.htmlPipeline(&w)
	htmlTiles(&w, in)
	p.htmlHistory(&w)
	p.htmlLinks(&w, v)
	w.raw(`<p class="key">`)
	for _, k := range [][2]string{{"up", "up"}, {"upb", "backup up"}, {"warn", "going up or down"}, {"down", "down"}, {"drain", "drain"}, {"maint", "maintenance"}, {"none", "not checked"}} {
		w.raw(`<span class="b `).raw(k[0]).raw(`">`).raw(k[1]).raw("</span>")
	}
	w.raw("</p>\n<div id=\"proxies\">\n")
	p.htmlProxies(&w, s, v)
	return append(w.buf, "</div>\n</main></body></html>\n"...)
}

// htmlProxies writes a table for each proxy.
func (p *Page) htmlProxies(w *page, s *Snapshot, v view) {
	f := Filter{HideDown: v.up}
	for at := 0; at < len(s.Rows); {
		end := at + 1
		for end < len(s.Rows) && s.Rows[end].Proxy == s.Rows[at].Proxy {
			end++
		}
		p.htmlProxy(w, s.Rows[at:end], f, v)
		at = end
	}
}

func (p *Page) htmlProxy(w *page, rows []Row, f Filter, v view) {
	name := rows[0].Proxy
	acts := false
	if v.admin {
		for i := range rows {
			acts = acts || rows[i].Kind == Server
		}
	}
	w.raw(`<section id="`).text(name).raw(`"><h2>`).text(name).raw("</h2>\n")
	if acts {
		w.raw(`<form method="post" action="`).text(p.URI).raw(`">`)
	}
	w.raw(`<div class="scroll" tabindex="0" role="region" aria-label="`).text(name).raw(`">`)
	htmlHead(w)
	for i := range rows {
		if r := &rows[i]; f.wants(r) {
			p.htmlRow(w, r, acts)
		}
	}
	w.raw("</table></div>\n")
	if acts {
		w.raw(`<div class="act"><input type="hidden" name="b" value="#`).int(rows[0].ProxyID).raw(`"><label>what is marked: <select name="action"><option value="">`)
		for _, a := range Actions {
			w.raw(`<option value="`).raw(a.Word).raw(`">`).raw(a.Text)
		}
		w.raw("</select></label> <button>do it</button></div></form>\n")
	}
	w.raw("</section>\n")
}

// Action is one that can be posted to a page for administrators.
type Action struct{ Word, Text string }

// Actions are HAProxy's, in the order of its menu.
var Actions = [...]Action{
	{"ready", "Set state to READY"}, {"drain", "Set state to DRAIN"}, {"maint", "Set state to MAINT"},
	{"dhlth", "Health: disable checks"}, {"ehlth", "Health: enable checks"}, {"hrunn", "Health: force UP"}, {"hnolb", "Health: force NOLB"}, {"hdown", "Health: force DOWN"},
	{"dagent", "Agent: disable checks"}, {"eagent", "Agent: enable checks"}, {"arunn", "Agent: force UP"}, {"adown", "Agent: force DOWN"},
	{"shutdown", "Kill Sessions"},
}

// Results are what became of a posted form: the word after ";st=", and what the
// page says of it.
var Results = map[string]string{
	"DONE": "Done.", "NONE": "Nothing has changed.", "PART": "Some of it was done: one of the servers is not there, or does not permit it.",
	"ERRP": "The form was not understood, nothing was done.", "DENY": "Refused: you may not change anything here.",
	"EXCD": "The form was too large, nothing was done: mark fewer servers.", "CSRF": "Refused: the form did not come from this page.",
}

func (p *Page) htmlMessage(w *page, v view) {
	text, known := Results[v.result]
	if !known {
		return
	}
	class := "bad"
	if v.result == "DONE" || v.result == "NONE" {
		class = "good"
	}
	w.raw(`<p class="state `).raw(class).raw(`" role="status">`).raw(text).raw(` <a href="`).text(p.URI).raw("\">close</a></p>\n")
}

// troubled are the backends of which not all servers are as they should be.
func troubled(s *Snapshot) (names []string, of int) {
	last := ""
	for i := range s.Rows {
		r := &s.Rows[i]
		switch r.Kind {
		case Server:
			switch r.class() {
			case classUp, classNoCheck:
			default:
				last = r.Proxy
			}
		case Backend:
			of++
			if last == r.Proxy || r.Status == "DOWN" {
				names = append(names, r.Proxy)
			}
			last = ""
		}
	}
	return names, of
}

// mostTroubled is how many backends are named above the tables.
const mostTroubled = 12

func (p *Page) htmlTrouble(w *page, s *Snapshot) {
	names, of := troubled(s)
	switch {
	case of == 0:
		return
	case len(names) == 0:
		w.raw(`<p class="state good">All servers of `).int(of).raw(" backends are as they should be.</p>\n")
		return
	}
	w.raw(`<p class="state bad"><b>`).int(len(names)).raw(" of ").int(of).raw(" backends ").raw(have(len(names))).raw(" trouble:</b>")
	for i, name := range names {
		if i == mostTroubled {
			w.raw(" and ").int(len(names) - mostTroubled).raw(" more")
			break
		}
		w.raw(` <a href="#`).text(name).raw(`">`).text(name).raw("</a>")
	}
	w.raw("</p>\n")
}

func have(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

func (p *Page) htmlReloads(w *page) {
	r := p.Reloads
	if r == nil {
		return
	}
	w.raw("<p>generation <b>").int(r.Generation).raw("</b> since ").text(r.Since).raw("; reloads <b>").int(r.Total).raw("</b>")
	if r.Failed > 0 {
		w.raw(", of which <b>").int(r.Failed).raw("</b> failed and changed nothing")
	}
	if r.Last != "" {
		w.raw("; the last one that worked: ").text(r.Last)
	}
	w.raw("</p>\n")
	if r.Refused != "" {
		w.raw(`<p class="state bad"><b>The last reload failed</b>, and this generation serves on: <code>`).text(r.Refused).raw("</code></p>\n")
	}
}

// htmlTiles writes the figures of the process.
func htmlTiles(w *page, in *Info) {
	w.raw("<dl class=\"tiles\">")
	tile := func(name, value, note string) {
		w.raw("<div><dt>").raw(name).raw("</dt><dd>").raw(value)
		if note != "" {
			w.raw(" <small>").raw(note).raw("</small>")
		}
		w.raw("</dd></div>")
	}
	tile("connections", thousands(uint64(max(in.CurConns, 0))), "of "+thousands(uint64(max(in.MaxConn, 0))))
	tile("new connections", thousands(uint64(max(in.ConnRate, 0)))+"/s", "most "+thousands(uint64(max(in.MaxConnRate, 0))))
	tile("requests", thousands(in.CumReqs), "so far")
	tile("sent", bits(in.BytesOutRate), bytesText(in.TotalBytesOut)+" so far")
	tile("TLS", thousands(uint64(max(in.SSLRate, 0)))+"/s", thousands(in.CumSSLConns)+" so far")
	tile("idle", strconv.Itoa(in.IdlePct)+" %", "of "+strconv.Itoa(in.Threads)+" threads")
	tile("dropped logs", thousands(in.DroppedLogs), "")
	tile("descriptors", thousands(uint64(max(in.ULimitN, 0))), "limit")
	w.raw("</dl>\n")
}

// htmlLinks writes the ways to look at the page otherwise.
func (p *Page) htmlLinks(w *page, v view) {
	link := func(options, text string) {
		w.raw(`<a href="`).text(p.URI).text(options).raw(`">`).raw(text).raw("</a> ")
	}
	w.raw(`<nav aria-label="views">`)
	link("", "refresh now")
	if v.up {
		link("", "show all servers")
	} else {
		link(";up", "hide down servers")
	}
	if p.Refresh > 0 && !v.norefresh {
		link(";norefresh", "stop refreshing")
	}
	link(";csv;norefresh", "CSV")
	link(";json;norefresh", "JSON")
	if p.Prometheus != "" {
		w.raw(`<a href="`).text(p.Prometheus).raw(`">Prometheus</a> `)
	}
	w.raw(`<form><label>scope <input name="scope" maxlength="20" value="`).text(v.scope).raw("\"></label></form></nav>\n")
}

// page is an HTML document being written. text escapes, raw does not.
type page struct{ buf []byte }

func (w *page) raw(s string) *page {
	w.buf = append(w.buf, s...)
	return w
}

func (w *page) text(s string) *page { return w.raw(html.EscapeString(s)) }

func (w *page) int(n int) *page {
	w.buf = strconv.AppendInt(w.buf, int64(n), 10)
	return w
}

// count writes a number with separators between its thousands.
func (w *page) count(n uint64) *page {
	w.buf = appendThousands(w.buf, n)
	return w
}

func thousands(n uint64) string { return string(appendThousands(nil, n)) }

func appendThousands(dst []byte, n uint64) []byte {
	start := len(dst)
	dst = strconv.AppendUint(dst, n, 10)
	for at := len(dst) - 3; at > start; at -= 3 {
		dst = append(dst, 0)
		copy(dst[at+1:], dst[at:])
		dst[at] = ','
	}
	return dst
}

// bytesText is a number of bytes in the unit that a reader takes in at once.
func bytesText(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, unit := float64(n), "B"
	for _, u := range []string{"kB", "MB", "GB", "TB", "PB"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, u
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + unit
}

// bits is a rate in bytes as a reader of graphs expects it.
func bits(bytes uint64) string {
	n, unit := float64(bytes)*8, "bps"
	for _, u := range []string{"kbps", "Mbps", "Gbps"} {
		if n < 1000 {
			break
		}
		n, unit = n/1000, u
	}
	return strconv.FormatFloat(n, 'f', 1, 64) + " " + unit
}

func joined(parts ...string) string {
	var have []string
	for _, p := range parts {
		if p != "" {
			have = append(have, p)
		}
	}
	return strings.Join(have, ", ")
}
