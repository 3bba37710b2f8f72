package stats

import "strconv"

// htmlColumns are the columns after the name: their group, their name, and how
// wide they are, the same in each table: s, m or l.
var htmlColumns = [...]struct{ group, name, width string }{
	{"Queue", "Cur", "s"}, {"Queue", "Max", "s"}, {"Queue", "Limit", "s"},
	{"Session rate", "Cur", "s"}, {"Session rate", "Max", "s"}, {"Session rate", "Limit", "s"},
	{"Sessions", "Cur", "s"}, {"Sessions", "Max", "s"}, {"Sessions", "Limit", "m"}, {"Sessions", "Total", "l"}, {"Sessions", "LbTot", "l"}, {"Sessions", "Last", "m"},
	{"Time, ms", "p50", "s"}, {"Time, ms", "p99", "s"},
	{"Bytes", "In", "m"}, {"Bytes", "Out", "m"},
	{"Denied", "Req", "s"}, {"Denied", "Resp", "s"},
	{"Errors", "Req", "s"}, {"Errors", "Conn", "s"}, {"Errors", "Resp", "s"},
	{"Warnings", "Retr", "s"}, {"Warnings", "Redis", "s"},
	{"Server", "LastChk", "l"}, {"Server", "Wght", "s"}, {"Server", "Act", "s"}, {"Server", "Bck", "s"}, {"Server", "Chk", "s"}, {"Server", "Dwn", "s"}, {"Server", "Dwntme", "m"}, {"Server", "Thrtle", "s"},
}

// htmlHead begins a table.
func htmlHead(w *page) {
	w.buf = append(w.buf, tableHead...)
}

// tableHead is the same for each table. End tags that HTML does not need are left
// out, here and in rows: with a thousand servers they are a fifth of the page.
var tableHead = func() []byte {
	w := new(page)
	w.raw(`<table><colgroup><col class="n">`)
	for i := 0; i < len(htmlColumns); {
		n := i
		for n < len(htmlColumns) && htmlColumns[n].width == htmlColumns[i].width {
			n++
		}
		w.raw(`<col class="`).raw(htmlColumns[i].width).raw(`" span="`).int(n - i).raw(`">`)
		i = n
	}
	w.raw("</colgroup><thead>\n<tr>")
	w.raw(`<th rowspan="2" scope="col" class="n">Status and name`)
	for i := 0; i < len(htmlColumns); {
		n := i
		for n < len(htmlColumns) && htmlColumns[n].group == htmlColumns[i].group {
			n++
		}
		w.raw(`<th scope="colgroup" colspan="`).int(n - i).raw(`">`).raw(htmlColumns[i].group)
		i = n
	}
	w.raw("\n<tr>")
	for _, c := range htmlColumns {
		w.raw(`<th scope="col">`).raw(c.name)
	}
	return w.raw("\n<tbody>\n").buf
}()

// htmlRow writes one row: the status and the name, then a cell for each of
// htmlColumns.
func (p *Page) htmlRow(w *page, r *Row, acts bool) {
	colour := badge(r)
	w.raw(`<tr class="`).raw(rowClass(r, colour)).raw(`">`)
	p.htmlName(w, r, colour, acts && r.Kind == Server)
	back := r.Kind == Backend || r.Kind == Server
	front := !back
	w.cells(back, r.QueueCur, r.QueueMax).limit(r.Kind == Server, r.QLimit)
	w.cells(r.Kind != Listener, r.SessRate, r.SessRateMax).limit(r.Kind == Frontend, r.SessRateLimit)
	w.cells(true, r.SessCur, r.SessMax).limit(true, r.SessLimit)
	w.total(r)
	w.counts(back, r.LBTotal)
	w.when(back, Ago(r.LastSess))
	w.quantile(r, 0.5).quantile(r, 0.99)
	for _, n := range [...]uint64{r.BytesIn, r.BytesOut} {
		if n < 1000 { // which shows them all
			w.raw("<td>").raw(bytesText(n))
		} else {
			w.raw(`<td title="`).count(n).raw(` bytes">`).raw(bytesText(n))
		}
	}
	w.counts(r.Kind != Server, r.DeniedReq).counts(true, r.DeniedResp)
	w.counts(front, r.ErrReq).counts(back, r.ErrConn, r.ErrResp)
	w.counts(back, r.Retries, r.Redispatches)
	w.lastCheck(r)
	w.cells(back, r.Weight)
	if r.Kind == Server {
		w.raw(`<td class="c">`).raw(mark(r.Active)).raw(`<td class="c">`).raw(mark(r.Backup))
	} else {
		w.cells(back, r.Active, r.Backup)
	}
	checked := r.Kind == Server && r.CheckConfigured
	w.counts(checked, r.CheckFail).counts(checked || r.Kind == Backend, r.CheckDown)
	w.when(checked || r.Kind == Backend, Ago(r.Downtime))
	w.when(throttle(r).typ != empty, strconv.Itoa(r.Throttle)+"%")
	w.raw("\n")
}

// htmlName writes the status next to the name, which stay in sight.
func (p *Page) htmlName(w *page, r *Row, colour string, box bool) {
	w.raw(`<th scope="row" class="n"`)
	title := r.Name // which may be longer than the column is wide
	if p.ShowLegends {
		title = joined(title, r.Addr, r.Algo, r.Cookie)
	}
	if r.Kind == Backend || r.Kind == Server {
		title = joined(title, "since "+Ago(r.LastChange))
	}
	if title != "" {
		w.raw(` title="`).text(title).raw(`"`)
	}
	w.raw(">")
	if box {
		w.raw(`<input type="checkbox" name="s" value="`).text(r.Name).raw(`" aria-label="`).text(r.Name).raw(`">`)
	}
	w.raw(`<span class="b `).raw(colour).raw(`">`).text(r.StatusText()).raw("</span>")
	switch r.Kind {
	case Frontend:
		w.raw("Frontend")
	case Backend:
		w.raw("Backend")
	default:
		w.text(r.Name)
	}
}

// badge is the colour of a row's status.
func badge(r *Row) string {
	switch r.Kind {
	case Server:
	case Backend:
		if r.Status == "DOWN" {
			return "down"
		}
		return "up"
	default:
		switch r.Status {
		case "OPEN", "WAITING":
			return "up"
		case "FULL":
			return "warn"
		}
		return "none"
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

// rowClass colours the row; of a server that is well there is nothing to see.
func rowClass(r *Row, colour string) string {
	switch r.Kind {
	case Frontend:
		return "fe"
	case Listener:
		return "so"
	case Backend:
		if colour == "down" {
			return "be down"
		}
		return "be"
	}
	return colour
}

// total writes the sessions, and what the total is made of.
func (w *page) total(r *Row) {
	switch {
	case r.SessTotal == 0 && r.ReqTotal == 0:
		w.raw("<td>0")
		return
	case !r.HTTP || r.Kind == Listener:
		w.raw(`<td title="`).count(r.SessTotal).raw(` sessions">`)
	default:
		w.raw(`<td title="`).count(r.ReqTotal).raw(" requests")
		for i, n := range r.Resp {
			w.raw([...]string{", 1xx ", ", 2xx ", ", 3xx ", ", 4xx ", ", 5xx ", ", other "}[i]).count(n)
		}
		w.raw(`">`)
	}
	w.count(r.SessTotal)
}

func mark(n int) string {
	if n > 0 {
		return "Y"
	}
	return "-"
}

// lastCheck writes how the last check ended.
func (w *page) lastCheck(r *Row) {
	w.raw(`<td class="c"`)
	if r.Kind != Server || !r.checked() {
		w.raw(">")
		return
	}
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
}

// cells writes a number each, or empty cells.
func (w *page) cells(show bool, ns ...int) *page {
	for _, n := range ns {
		w.raw("<td>")
		switch {
		case show && n < 0:
			w.int(n)
		case show:
			w.count(uint64(n))
		}
	}
	return w
}

func (w *page) counts(show bool, ns ...uint64) *page {
	for _, n := range ns {
		switch {
		case !show:
			w.raw("<td>")
		case n < fits:
			w.raw("<td>").count(n)
		default:
			w.raw(`<td title="`).count(n).raw(`">`).count(n)
		}
	}
	return w
}

// fits is the least number that a narrow column may cut; the title has it whole.
const fits = 10_000

// when writes a text, or an empty cell.
func (w *page) when(show bool, text string) *page {
	w.raw("<td>")
	if show {
		w.raw(text)
	}
	return w
}

// quantile writes a quantile of the total time.
func (w *page) quantile(r *Row, q float64) *page {
	ms, ok := r.Latency.Quantile(TotalTime, q)
	text := strconv.FormatFloat(ms, 'f', 0, 64)
	if ms < 10 {
		text = strconv.FormatFloat(ms, 'f', 1, 64)
	}
	return w.when(ok, text)
}

// limit writes a limit, "-" where there is none.
func (w *page) limit(show bool, n int) *page {
	if show && n <= 0 {
		return w.when(true, "-")
	}
	return w.cells(show, n)
}
