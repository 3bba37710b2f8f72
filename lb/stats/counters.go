package stats

// Counters are the figures of a row that only grow. The engine keeps one per
// loop and adds them up; `clear counters all` sets them to the zero value.
type Counters struct {
	SessTotal      uint64 // stot: sessions; a server's counts connections given to it
	ConnTotal      uint64 // frontend: connections, refused ones included
	BytesIn        uint64
	BytesOut       uint64
	DeniedReq      uint64
	DeniedResp     uint64
	DeniedConn     uint64 // frontend, listener: refused by tcp-request connection rules
	DeniedSess     uint64 // frontend, listener: refused by tcp-request session rules
	ErrReq         uint64 // frontend, listener: requests that were not valid or never complete
	ErrConn        uint64 // backend, server
	ErrResp        uint64 // backend, server
	Retries        uint64
	Redispatches   uint64
	CheckFail      uint64 // server
	CheckDown      uint64 // server, backend: times it went down
	LBTotal        uint64 // times chosen by the balancing
	Resp           [6]uint64
	ReqTotal       uint64 // HTTP requests
	CliAborts      uint64
	SrvAborts      uint64
	Intercepted    uint64 // frontend: answered here (stats, monitor, redirect, return)
	FailedRewrites uint64
	Connects       uint64 // connection attempts to servers
	Reuses         uint64 // requests on a kept connection
	InternalErrors uint64
	SSLSessions    uint64 // handshakes done
	SSLReused      uint64 // of these resumed
	SSLFailed      uint64
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
}
