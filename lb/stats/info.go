package stats

import "time"

// Info is what `show info` reports of the process. Fields that HAProxy has and this
// process has no use for are written as zeroes and have no field here; docs/runtime-api.md
// says why each is 0.
type Info struct {
	Name        string // "HAProxy", for what looks for it; Version and BuildInfo say what it is
	Version     string
	ReleaseDate string // YYYY/MM/DD
	BuildInfo   string
	Node        string
	Description string // "" is not shown
	Threads     int
	Pid         int
	Start       time.Time // when the process started
	Now         time.Time // when the snapshot was taken

	ULimitN     int
	MaxSock     int
	MaxConn     int
	HardMaxConn int

	CurConns int
	CumConns uint64
	CumReqs  uint64

	ConnRate, ConnRateLimit, MaxConnRate int
	SessRate, SessRateLimit, MaxSessRate int

	Compression
	TLS
	Peers
	Pipes
	Work

	Stopping          bool
	Listeners         int
	DroppedLogs       uint64
	FailedResolutions uint64
	TotalBytesOut     uint64
	SplicedBytesOut   uint64
	BytesOutRate      uint64
}

// TLS is what the process reports of TLS. Key rates are those of full handshakes,
// that were not resumed.
type TLS struct {
	MaxSSLConns, CurSSLConns int
	CumSSLConns              uint64

	SSLRate, SSLRateLimit, MaxSSLRate                     int
	SSLFrontKeyRate, SSLFrontMaxKeyRate, SSLFrontReusePct int
	SSLBackKeyRate, SSLBackMaxKeyRate                     int
	SSLCacheLookups, SSLCacheMisses                       uint64
}

// Compression is what was compressed in the last second: bytes, what became of
// them, and how many there may be; 0 is any number.
type Compression struct{ CompressIn, CompressOut, CompressLimit int }

// Peers are those of peers sections.
type Peers struct{ ActivePeers, ConnectedPeers int }

// Pipes are those for splice.
type Pipes struct{ MaxPipes, PipesUsed, PipesFree int }

// Work is how busy the process is.
type Work struct {
	Jobs     int // connections and listeners
	Tasks    int // timers and connections the loops look after
	RunQueue int
	IdlePct  int // share of the last second the loops spent waiting, 0..100

	MemoryHas, MemoryUses uint64 // bytes: of the system, and of these for what lives
}

// uptime since the start of the process.
func (i *Info) uptime() time.Duration {
	if i.Start.IsZero() {
		return 0
	}
	return i.Now.Sub(i.Start)
}

// infoField is one line of `show info`.
type infoField struct {
	name string
	tags tags
	help string
	get  func(i *Info) value
}

func num(get func(i *Info) int) func(i *Info) value {
	return func(i *Info) value { return gauge(get(i)) }
}

// cum is a counter HAProxy types as u32 although it may be larger.
func cum(get func(i *Info) uint64) func(i *Info) value {
	return func(i *Info) value { return value{typ: unsigned32, n: get(i)} }
}

func none(*Info) value { return gauge(0) }

func mega(get func(i *Info) uint64) func(i *Info) value {
	return func(i *Info) value { return gauge(int(get(i) >> 20)) }
}

func hidden(*Info) value { return value{} }

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// infoFields stand in HAProxy 2.6's order; a field's position is its number
// in the typed output. Never written after init.
var infoFields = [...]infoField{
	{"Name", "POS", "Name of the program", func(i *Info) value { return str(i.Name) }},
	{"Version", "POS", "Version of the program", func(i *Info) value { return str(i.Version) }},
	{"Release_date", "POS", "Date of the version", func(i *Info) value { return str(i.ReleaseDate) }},
	{"Nbthread", "CGS", "Event loops", num(func(i *Info) int { return i.Threads })},
	{"Nbproc", "CGS", "Processes that serve, always 1", num(func(*Info) int { return 1 })},
	{"Process_num", "KGP", "Number of this process, always 1", num(func(*Info) int { return 1 })},
	{"Pid", "SGP", "Process id of this worker", num(func(i *Info) int { return i.Pid })},
	{"Uptime", "MDP", "Time since this worker started", func(i *Info) value { return str(Uptime(i.uptime())) }},
	{"Uptime_sec", "MDP", "Seconds since this worker started", num(func(i *Info) int { return int(i.uptime() / time.Second) })},
	{"Memmax_MB", "CLP", "Limit of memory, 0 is none", none},
	{"PoolAlloc_MB", "MGP", "MB of memory that this worker has", mega(func(i *Info) uint64 { return i.MemoryHas })},
	{"PoolUsed_MB", "MGP", "MB of memory in use", mega(func(i *Info) uint64 { return i.MemoryUses })},
	{"PoolFailed", "MCP", "Failed allocations: there are none, they end the process", none},
	{"Ulimit-n", "CLP", "Limit of file descriptors", num(func(i *Info) int { return i.ULimitN })},
	{"Maxsock", "CLP", "Limit of sockets", num(func(i *Info) int { return i.MaxSock })},
	{"Maxconn", "CLP", "Limit of client connections", num(func(i *Info) int { return i.MaxConn })},
	{"Hard_maxconn", "CLP", "Limit of client connections by file descriptors", num(func(i *Info) int { return i.HardMaxConn })},
	{"CurrConns", "MGP", "Client connections now", num(func(i *Info) int { return i.CurConns })},
	{"CumConns", "MCP", "Client connections", cum(func(i *Info) uint64 { return i.CumConns })},
	{"CumReq", "MCP", "Requests", cum(func(i *Info) uint64 { return i.CumReqs })},
	{"MaxSslConns", "MMP", "Limit of TLS connections, 0 is none", num(func(i *Info) int { return i.MaxSSLConns })},
	{"CurrSslConns", "MGP", "TLS connections now", num(func(i *Info) int { return i.CurSSLConns })},
	{"CumSslConns", "MCP", "TLS connections", cum(func(i *Info) uint64 { return i.CumSSLConns })},
	{"Maxpipes", "CLP", "Limit of pipes for splicing", num(func(i *Info) int { return i.MaxPipes })},
	{"PipesUsed", "MGP", "Pipes in use", num(func(i *Info) int { return i.PipesUsed })},
	{"PipesFree", "MGP", "Pipes kept for use", num(func(i *Info) int { return i.PipesFree })},
	{"ConnRate", "MRP", "Client connections in the last second", num(func(i *Info) int { return i.ConnRate })},
	{"ConnRateLimit", "CLP", "Limit of ConnRate", num(func(i *Info) int { return i.ConnRateLimit })},
	{"MaxConnRate", "MMP", "Most client connections in one second", num(func(i *Info) int { return i.MaxConnRate })},
	{"SessRate", "MRP", "Sessions in the last second", num(func(i *Info) int { return i.SessRate })},
	{"SessRateLimit", "CLP", "Limit of SessRate", num(func(i *Info) int { return i.SessRateLimit })},
	{"MaxSessRate", "MRP", "Most sessions in one second", num(func(i *Info) int { return i.MaxSessRate })},
	{"SslRate", "MRP", "TLS connections in the last second", num(func(i *Info) int { return i.SSLRate })},
	{"SslRateLimit", "CLP", "Limit of SslRate", num(func(i *Info) int { return i.SSLRateLimit })},
	{"MaxSslRate", "MMP", "Most TLS connections in one second", num(func(i *Info) int { return i.MaxSSLRate })},
	{"SslFrontendKeyRate", "MGP", "Full TLS handshakes with clients in the last second", num(func(i *Info) int { return i.SSLFrontKeyRate })},
	{"SslFrontendMaxKeyRate", "MMP", "Most full TLS handshakes with clients in one second", num(func(i *Info) int { return i.SSLFrontMaxKeyRate })},
	{"SslFrontendSessionReuse_pct", "MGP", "Percent of clients' TLS connections that were resumed", num(func(i *Info) int { return i.SSLFrontReusePct })},
	{"SslBackendKeyRate", "MRP", "Full TLS handshakes with servers in the last second", num(func(i *Info) int { return i.SSLBackKeyRate })},
	{"SslBackendMaxKeyRate", "MMP", "Most full TLS handshakes with servers in one second", num(func(i *Info) int { return i.SSLBackMaxKeyRate })},
	{"SslCacheLookups", "MCP", "Lookups of TLS sessions", cum(func(i *Info) uint64 { return i.SSLCacheLookups })},
	{"SslCacheMisses", "MCP", "Lookups of TLS sessions that found none", cum(func(i *Info) uint64 { return i.SSLCacheMisses })},
	{"CompressBpsIn", "MRP", "Bytes given to compression in the last second", num(func(i *Info) int { return i.CompressIn })},
	{"CompressBpsOut", "MRP", "Bytes compression made in the last second", num(func(i *Info) int { return i.CompressOut })},
	{"CompressBpsRateLim", "CLP", "Limit of CompressBpsIn", num(func(i *Info) int { return i.CompressLimit })},
	{"ZlibMemUsage", "MGP", "Memory of compression", hidden},
	{"MaxZlibMemUsage", "CLP", "Limit of memory of compression", hidden},
	{"Tasks", "MGP", "Connections and timers in the loops", num(func(i *Info) int { return i.Tasks })},
	{"Run_queue", "MGP", "Work that is ready to run", num(func(i *Info) int { return i.RunQueue })},
	{"Idle_pct", "MaP", "Percent of the last second spent waiting", num(func(i *Info) int { return i.IdlePct })},
	{"node", "COS", "Name of this node", func(i *Info) value { return str(i.Node) }},
	{"description", "COS", "Description of this node", func(i *Info) value { return strIf(i.Description) }},
	{"Stopping", "MGP", "1 when this worker is leaving", num(func(i *Info) int { return flag(i.Stopping) })},
	{"Jobs", "MGP", "Connections and listeners", num(func(i *Info) int { return i.Jobs })},
	{"Unstoppable Jobs", "MGP", "Jobs a soft stop does not wait for", none},
	{"Listeners", "MGP", "Listening sockets", num(func(i *Info) int { return i.Listeners })},
	{"ActivePeers", "MGP", "Peers that are connected, or are being connected to", num(func(i *Info) int { return i.ActivePeers })},
	{"ConnectedPeers", "MGP", "Peers that are connected", num(func(i *Info) int { return i.ConnectedPeers })},
	{"DroppedLogs", "MGP", "Log lines that could not be sent", cum(func(i *Info) uint64 { return i.DroppedLogs })},
	{"BusyPolling", "MGP", "1 with busy polling", none},
	{"FailedResolutions", "MGP", "Names that could not be resolved", cum(func(i *Info) uint64 { return i.FailedResolutions })},
	{"TotalBytesOut", "MGP", "Bytes sent", func(i *Info) value { return counter(i.TotalBytesOut) }},
	{"TotalSplicdedBytesOut", "MGP", "Bytes sent through a kernel pipe", func(i *Info) value { return counter(i.SplicedBytesOut) }},
	{"BytesOutRate", "MRP", "Bytes sent in the last second", func(i *Info) value { return counter(i.BytesOutRate) }},
	{"DebugCommandsIssued", "MGP", "Debug commands, there are none", none},
	{"CumRecvLogs", "MCP", "Log messages received, there are none", none},
	{"Build info", "POS", "What was built", func(i *Info) value { return str(i.BuildInfo) }},
	{"Memmax_bytes", "CLP", "Limit of memory, 0 is none", none},
	{"PoolAlloc_bytes", "MGP", "Bytes of memory that this worker has", func(i *Info) value { return counter(i.MemoryHas) }},
	{"PoolUsed_bytes", "MGP", "Bytes of memory in use", func(i *Info) value { return counter(i.MemoryUses) }},
	{"Start_time_sec", "MDP", "When this worker started, seconds since 1970", num(func(i *Info) int { return int(i.Start.Unix()) })},
	{"Tainted", "SGP", "Experimental features in use", func(*Info) value { return str("0") }},
}

// value is the field of a process, with its fraction if that is wanted.
func (f *infoField) value(i *Info, form InfoForm) value {
	v := f.get(i)
	if !form.Float {
		return v
	}
	switch f.name {
	case "Uptime_sec":
		return value{typ: float, n: uint64(i.uptime() / time.Microsecond)}
	case "Start_time_sec":
		return value{typ: float, n: uint64(i.Start.UnixMicro())}
	case "ConnRate", "SessRate", "SslRate", "SslFrontendKeyRate", "SslFrontendSessionReuse_pct", "SslBackendKeyRate", "CompressBpsIn", "CompressBpsOut":
		return value{typ: float, n: v.n * 1e6}
	}
	return v
}

// InfoForm is how `show info` shows its fields.
type InfoForm struct {
	Desc  bool // with what they mean
	Float bool // times and rates with their fractions
}

// AppendInfo writes `show info`: a "Name: value" line for each field.
func AppendInfo(dst []byte, in *Info, form InfoForm) []byte {
	for i := range infoFields {
		f := &infoFields[i]
		v := f.value(in, form)
		if v.typ == empty {
			continue
		}
		dst = append(dst, f.name...)
		dst = append(dst, ": "...)
		dst = v.append(dst)
		if form.Desc {
			dst = append(dst, ':', '"')
			dst = append(dst, f.help...)
			dst = append(dst, '"')
		}
		dst = append(dst, '\n')
	}
	return dst
}

// AppendInfoTyped writes `show info typed`.
func AppendInfoTyped(dst []byte, in *Info, form InfoForm) []byte {
	for i := range infoFields {
		f := &infoFields[i]
		if v := f.value(in, form); v.typ != empty {
			dst = appendTyped(dst, i, f.name, f.tags, v, form.Desc, f.help)
		}
	}
	return dst
}
