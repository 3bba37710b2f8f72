package sample

import (
	"bytes"

	"lbsyslogd/lb/http1"
)

// fetchesBody look into what is there of a body (HAProxy configuration manual,
// section 7.3.6): all that fits a buffer with option http-buffer-request or after a
// wait-for-body rule, else what came along with the head.
var fetchesBody = []fetchRow{
	{name: "req.body", kind: Bin, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) {
		return Value{kind: Bin, b: x.body()}, x.Req != nil
	}},
	{name: "req.body_len", kind: Int, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) {
		return IntValue(int64(len(x.body()))), x.Req != nil
	}},
	{name: "req.body_param", args: "s?", kind: Str, where: InRequest, get: fetchBodyParam},
	{name: "req.body_size", kind: Int, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Chunked || x.BodySize < 0 {
			return IntValue(int64(len(x.body()))), x.Req != nil
		}
		return IntValue(x.BodySize), x.Req != nil
	}},
	{name: "res.body", kind: Bin, where: InResponse | InCheck, get: func(x *Ctx, _ *args) (Value, bool) {
		return Value{kind: Bin, b: x.said()}, x.Res != nil
	}},
	{name: "res.body_len", kind: Int, where: InResponse | InCheck, get: func(x *Ctx, _ *args) (Value, bool) {
		return IntValue(int64(len(x.said()))), x.Res != nil
	}},
	{name: "res.body_size", kind: Int, where: InResponse | InCheck, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Said.Chunked || x.Said.Size < 0 {
			return IntValue(int64(len(x.said()))), x.Res != nil
		}
		return IntValue(x.Said.Size), x.Res != nil
	}},
}

// body is what is there of the request's body, without the framing of chunks.
func (x *Ctx) body() []byte { return x.unframed(x.Body, x.Chunked) }

// said is what is there of the response's.
func (x *Ctx) said() []byte { return x.unframed(x.Said.Bytes, x.Said.Chunked) }

func (x *Ctx) unframed(b []byte, chunked bool) []byte {
	if !chunked {
		return b
	}
	var ch http1.Chunks
	from := len(x.scratch)
	for len(b) > 0 && !ch.Done() {
		n, data, err := ch.Next(b)
		if err != nil || n == 0 { // it was checked when it came
			break
		}
		if data {
			x.scratch = append(x.scratch, b[:n]...)
		}
		b = b[n:]
	}
	return x.scratch[from:]
}

// fetchBodyParam gives the next parameter of a name in an ACL, else the first; of
// any name if none is asked for.
func fetchBodyParam(x *Ctx, a *args) (Value, bool) {
	if x.Req == nil {
		return Value{}, false
	}
	body, from := x.body(), 0
	if x.cur.all {
		from = x.cur.pos
	}
	for from < len(body) {
		end := len(body)
		if i := bytes.IndexByte(body[from:], '&'); i >= 0 {
			end = from + i
		}
		key, val, ok := bytes.Cut(body[from:end], equals)
		from = end + 1
		if ok && (a.s[0] == "" || string(key) == a.s[0]) {
			x.cur.pos, x.cur.more = from, from < len(body)
			return StrValue(val), true
		}
	}
	x.cur.more = false
	return Value{}, false
}
