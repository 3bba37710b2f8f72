package stats

import (
	"html"
	"strconv"
)

// htmlStyle needs no script and no other file; colours follow the reader's
// dark or light preference.
const htmlStyle = `:root{--bg:#fff;--fg:#1c1e21;--dim:#667;--line:#d5d8dc;--head:#eef1f4;--fe:#f6f7f9;--up:#d4f4dc;--upb:#d6e6ff;--warn:#fff1b8;--down:#ffc9c9;--drain:#cfe3ff;--maint:#ecd5b8;--none:#ececec;--link:#0b57d0}
@media(prefers-color-scheme:dark){:root{--bg:#15171a;--fg:#e4e6ea;--dim:#98a0aa;--line:#34383e;--head:#22262b;--fe:#1c1f24;--up:#1c4a2a;--upb:#1d3a63;--warn:#5f5212;--down:#6d2020;--drain:#1f4474;--maint:#5d4423;--none:#2c3036;--link:#8ab4f8}}
body{font:13px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);margin:1.2em}
h1{font-size:1.4em;margin:0 0 .1em}h2{font-size:1.1em;margin:1.5em 0 .3em}a{color:var(--link);text-decoration:none}
p{margin:.2em 0;color:var(--dim)}p b{color:var(--fg);font-weight:600}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:12px;font-variant-numeric:tabular-nums}
th,td{border:1px solid var(--line);padding:2px 6px;text-align:right;white-space:nowrap}
th{background:var(--head);font-weight:600;text-align:center}td.t{text-align:left}td.c{text-align:center}
.fe td,.so td,.be td{background:var(--fe)}.be td{font-weight:600}
.up td{background:var(--up)}.upb td{background:var(--upb)}.warn td{background:var(--warn)}.down td{background:var(--down)}.drain td{background:var(--drain)}.maint td{background:var(--maint)}.none td{background:var(--none)}
.key span{padding:0 .6em;margin-right:.4em;border:1px solid var(--line)}
.k-up{background:var(--up)}.k-upb{background:var(--upb)}.k-warn{background:var(--warn)}.k-down{background:var(--down)}.k-drain{background:var(--drain)}.k-maint{background:var(--maint)}.k-none{background:var(--none)}
form{display:inline}input{font:inherit;width:9em}
`

const htmlTableHead = `<div class="scroll"><table><thead>
<tr><th rowspan="2"></th><th colspan="3">Queue</th><th colspan="3">Session rate</th><th colspan="6">Sessions</th><th colspan="2">Bytes</th><th colspan="2">Denied</th><th colspan="3">Errors</th><th colspan="2">Warnings</th><th colspan="9">Server</th></tr>
<tr><th>Cur</th><th>Max</th><th>Limit</th><th>Cur</th><th>Max</th><th>Limit</th><th>Cur</th><th>Max</th><th>Limit</th><th>Total</th><th>LbTot</th><th>Last</th><th>In</th><th>Out</th><th>Req</th><th>Resp</th><th>Req</th><th>Conn</th><th>Resp</th><th>Retr</th><th>Redis</th><th>Status</th><th>LastChk</th><th>Wght</th><th>Act</th><th>Bck</th><th>Chk</th><th>Dwn</th><th>Dwntme</th><th>Thrtle</th></tr>
</thead><tbody>
`

// appendHTML writes the page: the process, then a table for each proxy with
// HAProxy's columns.
func (p *Page) appendHTML(dst []byte, s *Snapshot, v view, refresh int) []byte {
	in := &s.Info
	w := page{dst}
	w.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">")
	if refresh > 0 {
		w.raw(`<meta http-equiv="refresh" content="`).int(refresh).raw(`">`)
	}
	w.raw("<title>Statistics Report for ").text(in.Name).raw("</title><link rel=\"icon\" href=\"data:,\"><style>\n").raw(htmlStyle).raw("</style></head><body>\n<h1>").text(in.Name)
	if !p.HideVersion {
		w.raw(" ").text(in.Version)
	}
	w.raw("</h1>\n<p>Statistics Report for pid <b>").int(in.Pid).raw("</b>")
	if p.ShowNode != "" {
		w.raw(" on <b>").text(p.ShowNode).raw("</b>")
	}
	if p.ShowDesc != "" {
		w.raw(": ").text(p.ShowDesc)
	}
	w.raw("</p>\n<p>uptime <b>").raw(Uptime(in.uptime())).raw("</b>, <b>").int(in.Threads).raw("</b> threads; limits: ulimit-n <b>").int(in.ULimitN).
		raw("</b>, maxconn <b>").int(in.MaxConn).raw("</b>, maxpipes <b>").int(in.MaxPipes).
		raw("</b></p>\n<p>current conns <b>").int(in.CurConns).raw("</b>, conn rate <b>").int(in.ConnRate).
		raw("</b>/s, bit rate <b>").raw(bits(in.BytesOutRate)).raw("</b>, idle <b>").int(in.IdlePct).
		raw("</b> %, dropped logs <b>").uint(in.DroppedLogs).raw("</b></p>\n")
	p.htmlLinks(&w, v)
	w.raw(`<p class="key"><span class="k-up">active up</span><span class="k-upb">backup up</span><span class="k-warn">going up or down</span><span class="k-down">down</span><span class="k-drain">drain</span><span class="k-maint">maintenance</span><span class="k-none">not checked</span></p>`)
	w.raw("\n")
	last := ""
	f := Filter{HideDown: v.up}
	for i := range s.Rows {
		r := &s.Rows[i]
		if r.Proxy != last || i == 0 {
			if i > 0 {
				w.raw("</tbody></table></div>\n")
			}
			w.raw(`<h2 id="`).text(r.Proxy).raw(`">`).text(r.Proxy).raw("</h2>\n").raw(htmlTableHead)
			last = r.Proxy
		}
		if f.wants(r) {
			p.htmlRow(&w, r)
		}
	}
	if len(s.Rows) > 0 {
		w.raw("</tbody></table></div>\n")
	}
	return append(w.buf, "</body></html>\n"...)
}

// htmlLinks writes the ways to look at the page otherwise.
func (p *Page) htmlLinks(w *page, v view) {
	link := func(options, text string) {
		w.raw(` · <a href="`).text(p.URI).text(options).raw(`">`).raw(text).raw("</a>")
	}
	w.raw(`<p><a href="`).text(p.URI).raw(`">refresh now</a>`)
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
		w.raw(` · <a href="`).text(p.Prometheus).raw(`">Prometheus</a>`)
	}
	w.raw(` · <form>scope <input name="scope" maxlength="20" value="`).text(v.scope).raw("\"></form></p>\n")
}

// htmlRow writes one row: the name and 30 cells.
func (p *Page) htmlRow(w *page, r *Row) {
	w.raw(`<tr class="`).raw(rowClass(r)).raw(`"><td class="t"`)
	if p.ShowLegends && (r.Addr != "" || r.Algo != "" || r.Cookie != "") {
		w.raw(` title="`).text(joined(r.Addr, r.Algo, r.Cookie)).raw(`"`)
	}
	w.raw(">")
	switch r.Kind {
	case Frontend:
		w.raw("Frontend")
	case Backend:
		w.raw("Backend")
	default:
		w.text(r.Name)
	}
	w.raw("</td>")
	back := r.Kind == Backend || r.Kind == Server
	front := !back
	w.cells(back, r.QueueCur, r.QueueMax).limit(r.Kind == Server, r.QLimit)
	w.cells(r.Kind != Listener, r.SessRate, r.SessRateMax).limit(r.Kind == Frontend, r.SessRateLimit)
	w.cells(true, r.SessCur, r.SessMax).limit(true, r.SessLimit)
	w.raw(`<td title="`).raw(r.totalTitle()).raw(`">`).uint(r.SessTotal).raw("</td>")
	w.counts(back, r.LBTotal)
	if back {
		w.raw("<td>").raw(Ago(r.LastSess)).raw("</td>")
	} else {
		w.raw("<td></td>")
	}
	w.counts(true, r.BytesIn, r.BytesOut)
	w.counts(r.Kind != Server, r.DeniedReq).counts(true, r.DeniedResp)
	w.counts(front, r.ErrReq).counts(back, r.ErrConn, r.ErrResp)
	w.counts(back, r.Retries, r.Redispatches)
	w.raw(`<td class="c">`)
	if back {
		w.raw(Ago(r.LastChange)).raw(" ")
	}
	w.text(r.StatusText()).raw(`</td><td class="c"`)
	if r.Kind == Server && r.checked() {
		w.raw(` title="`).text(r.CheckDesc)
		if r.CheckInfo != "" {
			w.raw(": ").text(r.CheckInfo)
		}
		w.raw(`">`).text(r.CheckStatus)
		if r.CheckCode > 0 {
			w.raw("/").int(r.CheckCode)
		}
		if r.CheckDuration >= 0 {
			w.raw(" in ").int(r.CheckDuration).raw("ms")
		}
	} else {
		w.raw(">")
	}
	w.raw("</td>").cells(back, r.Weight)
	if r.Kind == Server {
		w.raw(`<td class="c">`).raw(mark(r.Active)).raw(`</td><td class="c">`).raw(mark(r.Backup)).raw("</td>")
	} else {
		w.cells(back, r.Active, r.Backup)
	}
	checked := r.Kind == Server && r.CheckConfigured
	w.counts(checked, r.CheckFail).counts(checked || r.Kind == Backend, r.CheckDown)
	if checked || r.Kind == Backend {
		w.raw("<td>").raw(Ago(r.Downtime)).raw("</td>")
	} else {
		w.raw("<td></td>")
	}
	if v := throttle(r); v.typ != empty {
		w.raw("<td>").int(r.Throttle).raw("%</td></tr>\n")
	} else {
		w.raw("<td></td></tr>\n")
	}
}

// rowClass chooses the colour.
func rowClass(r *Row) string {
	switch r.Kind {
	case Frontend:
		return "fe"
	case Listener:
		return "so"
	case Backend:
		return "be"
	}
	switch r.class() {
	case classMaint:
		return "maint"
	case classDown, classDownAgent:
		return "down"
	case classGoingUp, classGoingDown:
		return "warn"
	case classNoLB, classDrain:
		return "drain"
	case classNoCheck:
		return "none"
	}
	if r.Backup > 0 {
		return "upb"
	}
	return "up"
}

// totalTitle tells what the total is made of.
func (r *Row) totalTitle() string {
	if !r.HTTP || r.Kind == Listener {
		return strconv.FormatUint(r.SessTotal, 10) + " sessions"
	}
	s := strconv.FormatUint(r.ReqTotal, 10) + " requests"
	for i, n := range r.Resp {
		s += ", " + [...]string{"1xx", "2xx", "3xx", "4xx", "5xx", "other"}[i] + " " + strconv.FormatUint(n, 10)
	}
	return s
}

func joined(parts ...string) string {
	out := ""
	for _, p := range parts {
		if p != "" && out != "" {
			out += ", "
		}
		out += p
	}
	return out
}

func mark(n int) string {
	if n > 0 {
		return "Y"
	}
	return "-"
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

func (w *page) uint(n uint64) *page {
	w.buf = strconv.AppendUint(w.buf, n, 10)
	return w
}

// cells writes a number each, or empty cells.
func (w *page) cells(show bool, ns ...int) *page {
	for _, n := range ns {
		w.raw("<td>")
		if show {
			w.int(n)
		}
		w.raw("</td>")
	}
	return w
}

func (w *page) counts(show bool, ns ...uint64) *page {
	for _, n := range ns {
		w.raw("<td>")
		if show {
			w.uint(n)
		}
		w.raw("</td>")
	}
	return w
}

// limit writes a limit, "-" where there is none.
func (w *page) limit(show bool, n int) *page {
	w.raw("<td>")
	switch {
	case show && n > 0:
		w.int(n)
	case show:
		w.raw("-")
	}
	return w.raw("</td>")
}
