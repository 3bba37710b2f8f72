package cache

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"lbsyslogd/lb/http1"
)

// Where a response says Vary, objects of one key differ by fields of the request
// (RFC 9111 section 4.1). Two of them are understood, as in HAProxy:
// Accept-Encoding, by what the client can read and what the object is coded with,
// and Referer, by its value.

// variant says which requests an object answers. The zero value answers all.
type variant struct {
	byEncoding, byReferer bool
	coded                 encodings // as which the object is coded
	referer               uint64
}

// fits reports whether the object answers a request of its key.
func (v *variant) fits(r *Request) bool {
	switch {
	case *v == (variant{}):
		return true
	case !r.varies, v.byEncoding && v.coded&^r.encodings != 0, v.byReferer && v.referer != r.referer:
		return false
	}
	return true
}

// bytes are how `show cache` shows it.
func (v *variant) bytes() (b [8]byte) {
	binary.BigEndian.PutUint32(b[:4], uint32(v.coded))
	binary.BigEndian.PutUint32(b[4:], uint32(v.referer))
	return b
}

// encodings is a set of content codings.
type encodings uint32

// The codings.
const (
	identity encodings = 1 << iota
	gzip
	deflate
	compress
	br
	zstd
	exi
	pack200
	aes128gcm
	other
	anyCoding encodings = 1<<iota - 1
)

var codings = map[string]encodings{
	"identity": identity, "gzip": gzip, "x-gzip": gzip, "deflate": deflate, "compress": compress, "x-compress": compress, "br": br, "zstd": zstd,
	"exi": exi, "pack200-gzip": pack200, "aes128gcm": aes128gcm, "*": anyCoding,
}

// coding finds one by its name; ok is false when nobody knows it.
func coding(name []byte) (e encodings, ok bool) {
	var low [16]byte
	if len(name) > len(low) {
		return other, false
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		low[i] = c
	}
	if e, ok = codings[string(low[:len(name)])]; !ok {
		return other, false
	}
	return e, true
}

// maxCodings bounds what a client may say of codings; those that say more are not
// answered from the cache.
const maxCodings = 16

var refererSeed = maphash.MakeSeed()

// ReadVariant notes what objects may differ by.
func (r *Request) ReadVariant(h *http1.Head) {
	r.encodings, r.varies = accepted(h)
	r.referer = 0
	if i := h.Find("referer", 0); i >= 0 {
		r.referer = maphash.Bytes(refererSeed, h.Value(i)) | 1
	}
}

// accepted are the codings that the client can read; ok is false when it says too
// much.
func accepted(h *http1.Head) (e encodings, ok bool) {
	i := h.Find("accept-encoding", 0)
	if i < 0 {
		return anyCoding, true
	}
	n := 0
	e = identity
	var refused encodings
	for ; i >= 0; i = h.Find("accept-encoding", i+1) {
		for member := range members(h.Value(i)) {
			if n++; n >= maxCodings {
				return 0, false
			}
			name, parameters, _ := bytes.Cut(member, []byte(";"))
			one, _ := coding(bytes.TrimRight(name, " \t"))
			if weightless(parameters) {
				if one == anyCoding { // of those that are not named
					one = identity &^ e
				}
				refused |= one
				continue
			}
			e |= one
		}
	}
	return e &^ refused, true
}

// weightless reports whether the parameters of a coding refuse it: q=0, q=0.000.
func weightless(parameters []byte) bool {
	p := bytes.TrimLeft(parameters, " \t")
	if !begins(p, "q=") {
		return false
	}
	p = p[len("q="):]
	return len(p) > 0 && p[0] == '0' && len(bytes.Trim(p[1:], ".0 \t")) == 0
}

// varies reads a response's Vary and coding; ok is false when it varies by
// something else, or is coded with something that nobody knows.
func varies(h *http1.Head) (v variant, ok bool) {
	for i := h.Find("vary", 0); i >= 0; i = h.Find("vary", i+1) {
		for word := range members(h.Value(i)) {
			switch {
			case http1.EqualFold(word, "accept-encoding"):
				v.byEncoding = true
			case http1.EqualFold(word, "referer"):
				v.byReferer = true
			default:
				return v, false
			}
		}
	}
	if !v.byEncoding {
		return v, true
	}
	v.coded = identity
	for i := h.Find("content-encoding", 0); i >= 0; i = h.Find("content-encoding", i+1) {
		for word := range members(h.Value(i)) {
			one, known := coding(word)
			if !known || one == anyCoding {
				return v, false
			}
			v.coded = v.coded&^identity | one
		}
	}
	return v, true
}
