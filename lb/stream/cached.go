package stream

import (
	"strconv"

	"lbsyslogd/lb/cache"
	"lbsyslogd/lb/compress"
	"lbsyslogd/lb/http1"
)

// Answers from caches. A cache-use rule finds an object; when all rules of its
// set were asked, that goes to the client as a server's response would: through
// the rules, compressed if the client likes that, with a head of its own. A
// cache-store rule has the head kept as it is then, and the body as it comes from
// the server, framing and all.

// cacheServer stands in logs where an answer came from a cache.
const cacheServer = "<CACHE>"

// caching is what caches have to do with an exchange.
type caching struct {
	asked cache.Request
	from  *cache.Object // answers it; nil: a server does
	name  string        // of its cache
	rest  cache.Reader  // what the client has not got of it
	keep  *cache.Object // what the response becomes; nil: it is not kept
}

// drop gives up what was found and what was begun.
func (k *caching) drop() {
	if k.from != nil {
		k.from.Release()
		k.from = nil
	}
	if k.keep != nil {
		k.keep.Discard()
		k.keep = nil
	}
}

// leaveCache forgets what was found in a cache or begun in one: another answer
// stands in its place.
func (t *txn) leaveCache() {
	if t.cached != nil {
		t.cached.drop()
		t.rec.Cache = ""
	}
}

// useCache asks a cache for the answer, for a rule of p.
func (t *txn) useCache(name string, p *Proxy) {
	sh := t.s.sh
	c := sh.eng.Caches[name]
	if t.cached == nil {
		t.cached = new(caching)
	}
	k := t.cached
	if c == nil || k.from != nil {
		return
	}
	k.asked.Read(&sh.req, t.clientMinor >= 1)
	if c.Vary {
		k.asked.ReadVariant(&sh.req)
	}
	if !k.asked.Look {
		return
	}
	n := &sh.Front[t.s.fe.Index].Counters
	if t.be != nil && p.ID != t.s.fe.ID {
		n = &sh.Back[t.be.Index].Counters
	}
	n.CacheLookups++
	if k.from = c.Find(&k.asked, sh.Loop.Time().Unix()); k.from != nil {
		n.CacheHits++
		k.name = name
	}
}

// hit reports whether a cache answers.
func (t *txn) hit() bool { return t.cached != nil && t.cached.from != nil }

// answerFromCache sends the client what was found.
func (t *txn) answerFromCache() {
	s, sh, k := t.s, t.s.sh, t.cached
	t.intercepted()
	t.rec.Server, t.rec.Cache = cacheServer, k.name
	t.rec.Term = [4]byte{'L', 'R', '-', '-'}
	t.phase = phaseReply
	if !t.reqDone {
		t.unread = true
	}
	t.keep = t.keep && !t.unread && !s.closing() && s.fe.ConnMode != Close && (t.be == nil || t.be.ConnMode != Close)
	known := k.from.NotModified(&sh.req)
	t.chooseCodec(&sh.req)
	t.res = sh.Loop.Buffers.Get()
	t.res.R, t.res.W = headroom, headroom
	k.rest = k.from.Reader()
	t.res.W += k.rest.Read(t.res.Space())
	h := &sh.res
	n, err := h.ParseResponse(t.res.Bytes())
	if err != nil || n != k.from.Head() {
		t.replyError(500)
		return
	}
	t.resHeadDone, t.headAt = true, sh.Loop.Now()
	t.rec.Tw, t.rec.Tc, t.rec.Tr = 0, 0, 0
	t.rec.Status = h.Status()
	t.frameCached(h, known)
	var age [20]byte
	h.Add([]byte("age"), strconv.AppendInt(age[:0], k.from.Age(sh.Loop.Time().Unix()), 10))
	if len(s.fe.ResCaptures) > 0 {
		t.rec.ResCaptures = capture(t.rec.ResCaptures, h, s.fe.ResCaptures)
	}
	t.rec.Answered = true
	t.rec.Vars.EndRequest()
	if t.codec != compress.None && t.compresses(h) {
		t.compressed(h)
	}
	t.bodyAt = t.res.R + n
	if t.responseRules() != onward {
		return
	}
	if c := &s.fe.CookieCapture; c.Len > 0 {
		t.rec.SCookie = c.cookie(h, "set-cookie")
	}
	if t.say(h) != "" || !t.placeHead(n) {
		t.replyError(500)
		return
	}
	t.countSaid()
	if t.takeResponse() != nil {
		t.replyError(500)
		return
	}
	t.logEarly()
}

// frameCached says how the body ends that the object has. known: the client has
// it already.
func (t *txn) frameCached(h *http1.Head, known bool) {
	body := t.cached.from.Size() - int64(t.cached.from.Head())
	t.resKind = h.ResponseBody(false, false)
	switch {
	case known:
		h.SetStatus(304, []byte("Not Modified"))
		t.rec.Status, t.resKind = 304, http1.NoBody
	case t.resKind == http1.UntilClose: // the server ended it by closing
		h.Set([]byte("content-length"), strconv.AppendInt(nil, body, 10))
		t.resKind = http1.LengthBody
	}
	t.resLeft = body
	if t.method == methodHead {
		t.resKind = http1.NoBody
	}
}

// fillCached moves the next part of the object into the response buffer.
func (t *txn) fillCached() error {
	t.res.Reset()
	space := t.res.Space()
	if t.packer != nil {
		space = space[:len(space)-packRoom]
	}
	t.res.W += t.cached.rest.Read(space)
	return t.takeResponse()
}

// storeInCache begins to keep the response in the shard's res.
func (t *txn) storeInCache(name string) {
	sh, k := t.s.sh, t.cached
	c := sh.eng.Caches[name]
	if c == nil || k == nil || k.from != nil || k.keep != nil || !k.asked.Keyed {
		return
	}
	if cache.Changes(t.rec.Method, sh.res.Status()) {
		c.Forget(k.asked.Key)
		return
	}
	if !k.asked.Keep || sh.res.Status() != 200 {
		return
	}
	length := int64(-1)
	if t.resKind == http1.LengthBody {
		length = t.resLeft
	}
	h := &sh.kept
	sh.keptBuf = sh.res.Append(sh.keptBuf[:0])
	if _, err := h.ParseResponse(sh.keptBuf); err != nil {
		return
	}
	if t.packer != nil { // what is kept is what the server sends
		t.packer.Unmark(h)
	}
	k.keep = c.Store(&k.asked, h, length, sh.Loop.Time().Unix(), &sh.headBuf)
}

// keepBody gives the cache what came of the body.
func (t *txn) keepBody(p []byte) {
	if k := t.cached; k.keep != nil && !k.keep.Append(p) {
		k.keep.Discard()
		k.keep = nil
	}
}

// kept completes what the cache was given: all of the body has come.
func (t *txn) kept() {
	if k := t.cached; k.keep != nil {
		k.keep.Commit()
		k.keep = nil
	}
}
