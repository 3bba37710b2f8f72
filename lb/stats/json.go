package stats

import "strconv"

// AppendJSON writes what AppendTyped writes as JSON: an array of rows, each an
// array of fields.
func AppendJSON(dst []byte, s *Snapshot, f Filter) []byte {
	dst = append(dst, '[')
	first := true
	for i := range s.Rows {
		r := &s.Rows[i]
		if !f.wants(r) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, '[')
		pos, more := 0, false
		for c := range columns {
			col := &columns[c]
			if col.tags == "" {
				continue
			}
			if v := f.cell(c, r); v.typ != empty {
				if more {
					dst = append(dst, ',')
				}
				more = true
				dst = append(dst, `{"objType":"`...)
				dst = append(dst, [...]string{"Frontend", "Backend", "Server", "Listener"}[r.Kind]...)
				dst = append(dst, `","proxyId":`...)
				dst = strconv.AppendInt(dst, int64(r.ProxyID), 10)
				dst = append(dst, `,"id":`...)
				dst = strconv.AppendInt(dst, int64(sid(r)), 10)
				dst = append(dst, ',')
				dst = appendJSONField(dst, pos, col.name, col.tagsOf(r.Kind), v)
			}
			pos++
		}
		dst = append(dst, ']')
	}
	return append(dst, "]\n"...)
}

// AppendInfoJSON writes what AppendInfoTyped writes as JSON.
func AppendInfoJSON(dst []byte, in *Info, form InfoForm) []byte {
	dst = append(dst, '[')
	for i := range infoFields {
		f := &infoFields[i]
		v := f.value(in, form)
		if v.typ == empty {
			continue
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		dst = appendJSONField(dst, i, f.name, f.tags, v)
	}
	return append(dst, "]\n"...)
}

// appendJSONField writes one field's members and its closing brace.
func appendJSONField(dst []byte, pos int, name string, t tags, v value) []byte {
	dst = append(dst, `"field":{"pos":`...)
	dst = strconv.AppendInt(dst, int64(pos), 10)
	dst = append(dst, `,"name":"`...)
	dst = append(dst, name...)
	dst = append(dst, `"},"processNum":1,"tags":{"origin":"`...)
	dst = append(dst, origin(t[0])...)
	dst = append(dst, `","nature":"`...)
	dst = append(dst, nature(t[1])...)
	dst = append(dst, `","scope":"`...)
	dst = append(dst, scope(t[2])...)
	dst = append(dst, `"},"value":{"type":"`...)
	dst = append(dst, v.typ.String()...)
	dst = append(dst, `","value":`...)
	dst = v.appendJSON(dst)
	return append(dst, '}', '}')
}

func origin(c byte) string {
	switch c {
	case 'M':
		return "Metric"
	case 'S':
		return "Status"
	case 'K':
		return "Key"
	case 'C':
		return "Config"
	case 'P':
		return "Product"
	}
	return "Unknown"
}

func nature(c byte) string {
	switch c {
	case 'G':
		return "Gauge"
	case 'L':
		return "Limit"
	case 'M':
		return "Max"
	case 'm':
		return "Min"
	case 'R':
		return "Rate"
	case 'C':
		return "Counter"
	case 'D':
		return "Duration"
	case 'A':
		return "Age"
	case 'T':
		return "Time"
	case 'N':
		return "Name"
	case 'O':
		return "Output"
	case 'a':
		return "Avg"
	}
	return "Unknown"
}

func scope(c byte) string {
	switch c {
	case 'C':
		return "Cluster"
	case 'P':
		return "Process"
	case 'S':
		return "Service"
	case 's':
		return "System"
	}
	return "Unknown"
}
