package stats

import "strconv"

// Filter picks rows, as the words after `show stat` do. The zero value picks
// all.
type Filter struct {
	// Proxy names the only proxy to show; "" is any.
	Proxy string
	// ProxyID is the only proxy's number; 0 (or negative) is any.
	ProxyID int
	// Kinds is a sum of bits as in `show stat`: 1 frontends, 2 backends, 4
	// servers, 8 listeners; 0 (or negative) is all.
	Kinds int
	// ServerID is the only server's or listener's number; 0 (or negative) is
	// any.
	ServerID int
	// HideDown and HideMaint leave out servers (and backends) by state.
	HideDown, HideMaint bool
	// HideSetup empties what reveals the set-up (addresses, cookies, the
	// balance algorithm) from those who may look at figures only.
	HideSetup bool
}

func (f *Filter) wants(r *Row) bool {
	switch {
	case f.Proxy != "" && f.Proxy != r.Proxy,
		f.ProxyID > 0 && f.ProxyID != r.ProxyID,
		f.Kinds > 0 && f.Kinds>>r.Kind&1 == 0,
		f.ServerID > 0 && (r.Kind == Server || r.Kind == Listener) && f.ServerID != r.ID,
		f.HideDown && r.down(),
		f.HideMaint && r.Kind == Server && r.Admin.Maint():
		return false
	}
	return true
}

// cell gives the value of column i in r.
func (f *Filter) cell(i int, r *Row) value {
	c := &columns[i]
	if f.HideSetup && (c.name == "addr" || c.name == "cookie" || c.name == "algo") {
		return value{}
	}
	if f.HideDown && c.name == "status" && r.Kind == Backend && r.Servers > 0 && r.Status == "UP" {
		return str("UP (" + strconv.Itoa(r.ServersUp) + "/" + strconv.Itoa(r.Servers) + ")")
	}
	return c.get(r)
}

// AppendCSV writes the table as `show stat` does: a header that begins with
// "# ", then a line for each row; every line ends in a comma.
func AppendCSV(dst []byte, s *Snapshot, f Filter) []byte {
	dst = append(dst, "# "...)
	for i := range columns {
		dst = append(dst, columns[i].name...)
		dst = append(dst, ',')
	}
	dst = append(dst, '\n')
	for i := range s.Rows {
		r := &s.Rows[i]
		if !f.wants(r) {
			continue
		}
		for c := range columns {
			dst = f.cell(c, r).appendCSV(dst)
			dst = append(dst, ',')
		}
		dst = append(dst, '\n')
	}
	return dst
}

// kindLetters begin the lines of the typed output.
const kindLetters = "FBSL"

// AppendTyped writes a line for each cell that is not empty:
// KIND.IID.SID.POSITION.NAME.1:TAGS:TYPE:VALUE, rows parted by an empty line.
// desc adds what the column means.
func AppendTyped(dst []byte, s *Snapshot, f Filter, desc bool) []byte {
	for i := range s.Rows {
		r := &s.Rows[i]
		if !f.wants(r) {
			continue
		}
		pos := 0
		for c := range columns {
			col := &columns[c]
			if col.tags == "" {
				continue // the mark between the columns has no position
			}
			if v := f.cell(c, r); v.typ != empty {
				dst = append(dst, kindLetters[r.Kind], '.')
				dst = strconv.AppendInt(dst, int64(r.ProxyID), 10)
				dst = append(dst, '.')
				dst = strconv.AppendInt(dst, int64(sid(r)), 10)
				dst = append(dst, '.')
				dst = appendTyped(dst, pos, col.name, col.tagsOf(r.Kind), v, desc, col.help)
			}
			pos++
		}
		dst = append(dst, '\n')
	}
	return dst
}

// appendTyped writes the part of a typed line that tables have in common.
func appendTyped(dst []byte, pos int, name string, t tags, v value, desc bool, help string) []byte {
	dst = strconv.AppendInt(dst, int64(pos), 10)
	dst = append(dst, '.')
	dst = append(dst, name...)
	dst = append(dst, ".1:"...)
	dst = append(dst, t...)
	dst = append(dst, ':')
	dst = append(dst, v.typ.String()...)
	dst = append(dst, ':')
	dst = v.append(dst)
	if desc {
		dst = append(dst, ':', '"')
		dst = append(dst, help...)
		dst = append(dst, '"')
	}
	return append(dst, '\n')
}
