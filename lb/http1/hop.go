package http1

import "bytes"

// Fields for one hop (RFC 9110 section 7.6.1). Those that a message came with
// are read and dropped before rules see it; what rules write themselves then
// takes effect on the connection that the message leaves by.

// Options are the connection options that a proxy acts upon.
type Options struct{ Close, KeepAlive, Upgrade bool }

// connectionOptions reads the value of one Connection field.
func connectionOptions(v []byte) (o Options) {
	for tok := range List(v) {
		o.read(tok)
	}
	return o
}

// read takes one option; false when it is none that a proxy acts upon.
func (o *Options) read(tok []byte) bool {
	switch {
	case EqualFold(tok, "close"):
		o.Close = true
	case EqualFold(tok, "keep-alive"):
		o.KeepAlive = true
	case EqualFold(tok, "upgrade"):
		o.Upgrade = true
	default:
		return false
	}
	return true
}

// List yields the members of a comma-separated list that are not empty.
func List(v []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for more := true; more; {
			var tok []byte
			tok, v, more = bytes.Cut(v, []byte(","))
			if tok = trimSpace(tok); len(tok) > 0 && !yield(tok) {
				return
			}
		}
	}
}

// DropHops deletes what the sender said of its own connection. Of a valid
// request or offer to upgrade the option and Upgrade stay, of TE the word
// trailers.
func (h *Head) DropHops() {
	if !h.Hops {
		return
	}
	upgrade := h.Upgrade // one of the Connection fields keeps the option
	for i := range h.fields {
		if h.fields[i].deleted {
			continue
		}
		switch name := h.Name(i); len(name) {
		case len("te"):
			if EqualFold(name, "te") && !EqualFold(h.Value(i), "trailers") {
				h.dropCodings(i)
			}
		case len("upgrade"):
			h.fields[i].deleted = !h.Upgrade && EqualFold(name, "upgrade")
		case len("connection"):
			switch {
			case EqualFold(name, "connection"):
				upgrade = !h.keepUpgrade(i, upgrade) && upgrade
			case EqualFold(name, "keep-alive"):
				h.fields[i].deleted = true
			}
		case len("proxy-connection"):
			h.fields[i].deleted = EqualFold(name, "proxy-connection")
		}
	}
}

// dropCodings leaves of a TE field no more than that trailers are welcome.
func (h *Head) dropCodings(i int) {
	for tok := range List(h.Value(i)) {
		if EqualFold(tok, "trailers") {
			h.SetValue(i, []byte("trailers"))
			return
		}
	}
	h.fields[i].deleted = true
}

// keepUpgrade leaves of a Connection field the option to upgrade, as it is
// spelled, if it is wanted and there; else nothing.
func (h *Head) keepUpgrade(i int, wanted bool) (kept bool) {
	if wanted {
		for tok := range List(h.Value(i)) {
			if !EqualFold(tok, "upgrade") {
				continue
			}
			if len(tok) != len(h.Value(i)) {
				h.SetValue(i, tok)
			}
			return true
		}
	}
	h.fields[i].deleted = true
	return false
}

// TakeOptions reads the options that a proxy acts upon, wherever they came
// from, and takes close and keep-alive out of the fields: whoever sends the
// head writes what holds. An option to upgrade stays where there is an Upgrade
// field that may be passed on.
func (h *Head) TakeOptions() (o Options) {
	i := h.Find("connection", 0)
	if i < 0 {
		return o
	}
	at := h.Find("upgrade", 0)
	may := at >= 0
	for ; at >= 0; at = h.Find("upgrade", at+1) {
		may = may && !offersH2C(h.Value(at))
	}
	for ; i >= 0; i = h.Find("connection", i+1) {
		var here Options
		var kept []byte
		n := 0
		for tok := range List(h.Value(i)) {
			if here.read(tok) && (!EqualFold(tok, "upgrade") || !may) {
				continue
			}
			if n++; n > 1 {
				kept = append(kept, ", "...)
			}
			kept = append(kept, tok...)
		}
		o = Options{o.Close || here.Close, o.KeepAlive || here.KeepAlive, o.Upgrade || here.Upgrade && may}
		switch {
		case n == 0:
			h.fields[i].deleted = true
		case here.Close || here.KeepAlive || here.Upgrade && !may:
			h.SetValue(i, kept)
		}
	}
	return o
}
