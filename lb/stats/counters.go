package stats

// Counters are the figures of a row that only grow. The engine keeps one per
// loop and adds them up; `clear counters all` sets them to the zero value.
type Counters struct {
	SessTotal      uint64    `json:",omitzero"` // stot: sessions; a server's counts connections given to it
	ConnTotal      uint64    `json:",omitzero"` // frontend: connections, refused ones included
	BytesIn        uint64    `json:",omitzero"`
	BytesOut       uint64    `json:",omitzero"`
	DeniedReq      uint64    `json:",omitzero"`
	DeniedResp     uint64    `json:",omitzero"`
	DeniedConn     uint64    `json:",omitzero"` // frontend, listener: refused by tcp-request connection rules
	DeniedSess     uint64    `json:",omitzero"` // frontend, listener: refused by tcp-request session rules
	ErrReq         uint64    `json:",omitzero"` // frontend, listener: requests that were not valid or never complete
	ErrConn        uint64    `json:",omitzero"` // backend, server
	ErrResp        uint64    `json:",omitzero"` // backend, server
	Retries        uint64    `json:",omitzero"`
	Redispatches   uint64    `json:",omitzero"`
	CheckFail      uint64    `json:",omitzero"` // server
	CheckDown      uint64    `json:",omitzero"` // server, backend: times it went down
	LBTotal        uint64    `json:",omitzero"` // times chosen by the balancing
	Resp           [6]uint64 `json:",omitzero"`
	ReqTotal       uint64    `json:",omitzero"` // HTTP requests
	CliAborts      uint64    `json:",omitzero"`
	SrvAborts      uint64    `json:",omitzero"`
	Intercepted    uint64    `json:",omitzero"` // frontend: answered here (stats, monitor, redirect, return)
	FailedRewrites uint64    `json:",omitzero"`
	Connects       uint64    `json:",omitzero"` // connection attempts to servers
	Reuses         uint64    `json:",omitzero"` // requests on a kept connection
	InternalErrors uint64    `json:",omitzero"`
	SSLSessions    uint64    `json:",omitzero"` // handshakes done
	SSLReused      uint64    `json:",omitzero"` // of these resumed
	SSLFailed      uint64    `json:",omitzero"`
	CompIn         uint64    `json:",omitzero"` // frontend, backend: bytes that were compressed
	CompOut        uint64    `json:",omitzero"` // what became of them
	CompByp        uint64    `json:",omitzero"` // bytes that passed compression unchanged
	CompRsp        uint64    `json:",omitzero"` // compressed responses
	CacheLookups   uint64    `json:",omitzero"` // requests that a cache was asked about
	CacheHits      uint64    `json:",omitzero"` // and that it has answered

	Versions
}

// Versions are what connections count by their version of HTTP: clients' ones on
// a frontend, those to servers on a backend.
type Versions struct {
	H1 HTTP1 `json:",omitzero"`
	H2 HTTP2 `json:",omitzero"`
}

// HTTP1 is what connections of HTTP/1 count.
type HTTP1 struct {
	Conns   uint64 `json:",omitzero"`
	Streams uint64 `json:",omitzero"` // requests
	In, Out uint64 `json:",omitzero"` // bytes from the peer and to it

	SplicedIn, SplicedOut uint64 `json:",omitzero"` // of these, those that a pipe carried
}

func (h *HTTP1) merge(o *HTTP1) {
	h.Conns += o.Conns
	h.Streams += o.Streams
	h.In += o.In
	h.Out += o.Out
	h.SplicedIn += o.SplicedIn
	h.SplicedOut += o.SplicedOut
}

// HTTP2 is what connections of HTTP/2 count.
type HTTP2 struct {
	Conns        uint64     `json:",omitzero"`
	Streams      uint64     `json:",omitzero"`
	Frames       [10]uint64 `json:",omitzero"` // from the peer, by type (RFC 9113 section 6); a field block counts once
	ConnErrors   uint64     `json:",omitzero"` // of the peer that ended a connection
	StreamErrors uint64     `json:",omitzero"` // of the peer that ended one stream
	Resets       uint64     `json:",omitzero"` // RST_STREAM to the peer
	GoAways      uint64     `json:",omitzero"` // GOAWAY to the peer
}

func (h *HTTP2) merge(o *HTTP2) {
	h.Conns += o.Conns
	h.Streams += o.Streams
	for i := range h.Frames {
		h.Frames[i] += o.Frames[i]
	}
	h.ConnErrors += o.ConnErrors
	h.StreamErrors += o.StreamErrors
	h.Resets += o.Resets
	h.GoAways += o.GoAways
}

// OpenHTTP is what is open now.
type OpenHTTP struct{ H1Conns, H1Streams, H2Conns, H2Streams int }

// Merge adds another loop's.
func (h *OpenHTTP) Merge(o OpenHTTP) {
	h.H1Conns += o.H1Conns
	h.H1Streams += o.H1Streams
	h.H2Conns += o.H2Conns
	h.H2Streams += o.H2Streams
}

// CountStatus counts one response: 2xx into Resp[1], what is no HTTP status
// class into Resp[5].
func (c *Counters) CountStatus(status int) {
	class := uint(status)/100 - 1
	if class > 4 {
		class = 5
	}
	c.Resp[class]++
}

// Merge adds another loop's counters.
func (c *Counters) Merge(o *Counters) {
	c.SessTotal += o.SessTotal
	c.ConnTotal += o.ConnTotal
	c.BytesIn += o.BytesIn
	c.BytesOut += o.BytesOut
	c.DeniedReq += o.DeniedReq
	c.DeniedResp += o.DeniedResp
	c.DeniedConn += o.DeniedConn
	c.DeniedSess += o.DeniedSess
	c.ErrReq += o.ErrReq
	c.ErrConn += o.ErrConn
	c.ErrResp += o.ErrResp
	c.Retries += o.Retries
	c.Redispatches += o.Redispatches
	c.CheckFail += o.CheckFail
	c.CheckDown += o.CheckDown
	c.LBTotal += o.LBTotal
	for i := range c.Resp {
		c.Resp[i] += o.Resp[i]
	}
	c.ReqTotal += o.ReqTotal
	c.CliAborts += o.CliAborts
	c.SrvAborts += o.SrvAborts
	c.Intercepted += o.Intercepted
	c.FailedRewrites += o.FailedRewrites
	c.Connects += o.Connects
	c.Reuses += o.Reuses
	c.InternalErrors += o.InternalErrors
	c.SSLSessions += o.SSLSessions
	c.SSLReused += o.SSLReused
	c.SSLFailed += o.SSLFailed
	c.CompIn += o.CompIn
	c.CompOut += o.CompOut
	c.CompByp += o.CompByp
	c.CompRsp += o.CompRsp
	c.CacheLookups += o.CacheLookups
	c.CacheHits += o.CacheHits
	c.H1.merge(&o.H1)
	c.H2.merge(&o.H2)
}
