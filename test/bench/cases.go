package main

// benchCase is one row of the costs: what is asked, by whom, and through which configuration.
type benchCase struct {
	name     string
	what     string
	size     int    // of an answer's body
	client   int    // byHTTP1 and its like
	conns    int    // at once
	tcp      bool   // mode tcp
	rules    bool   // ten rules for each request
	upload   bool   // a request has a body of size, and its answer none worth counting
	log      bool   // httplog to a receiver in this program, over UDP
	perConn  bool   // a connection for every request
	reuse    string // http-reuse; "": the default, safe
	tls      bool   // clients speak TLS 1.3
	rsa      bool   // with a certificate of RSA, 2048 bits; otherwise ECDSA P-256
	resumed  bool   // handshakes resume a session
	toHTTP2  bool   // the server speaks HTTP/2
	servers  int    // in the backend, all of them at one address; 0: one
	proxies  int    // in the configuration, most of them backends that nobody asks for; 0: two
	threads  int    // of the subject, which has both cores then; 0: one
	pipeline string // a log daemon belongs to the subject: packaged or tuned
	slow     bool   // a request takes milliseconds: rounds are four times as long
	weighed  bool   // the memory that the subjects have at the end is a row as well
	extra    bool   // not part of -quick
	goal     float64
}

// What sends a case's requests.
const (
	byHTTP1      = iota // wrk, or this program's loop with -load loop
	byHTTP2             // h2load, ten requests at a time on each connection
	byHandshakes        // this program: handshakes and nothing else (handshakes.go)
	byAB                // ab, which speaks HTTP/1.0 and opens a connection for each request
	byTest              // no load: the row's own code asks, and the loop serves
)

var cases = []benchCase{
	{name: "small", what: "200 bytes, keep-alive", size: 200, conns: 64, weighed: true, goal: 0.90},
	{name: "rules", what: "the same, ten rules", size: 200, rules: true, conns: 64, goal: 0.90},
	{name: "log", what: "the same, httplog over UDP", size: 200, log: true, conns: 64, goal: 0.95},
	{name: "16k", what: "16 KiB", size: 16 << 10, conns: 64, goal: 0.90},
	{name: "1m", what: "1 MiB", size: 1 << 20, conns: 16, slow: true, goal: 0.90},
	{name: "10m", what: "10 MiB", size: 10 << 20, conns: 4, slow: true, goal: 0.90},
	{name: "upload", what: "upload of 1 MiB", size: 1 << 20, upload: true, conns: 16, slow: true, goal: 0.90},
	{name: "conn", what: "one request a connection", size: 200, perConn: true, conns: 64},
	{name: "conn-always", what: "the same, http-reuse always", size: 200, perConn: true, reuse: "always", conns: 64, extra: true},
	{name: "conn-ab", what: "the same, ab (HTTP/1.0)", size: 200, perConn: true, client: byAB, conns: 64, extra: true},
	{name: "tcp", what: "mode tcp, 200 bytes", size: 200, tcp: true, conns: 64, goal: 0.90},
	{name: "tcp-1m", what: "mode tcp, 1 MiB", size: 1 << 20, tcp: true, conns: 16, slow: true, goal: 0.90},
	{name: "tcp-upload", what: "mode tcp, upload of 1 MiB", size: 1 << 20, tcp: true, upload: true, conns: 16, slow: true, extra: true},
	{name: "tls", what: "TLS 1.3, 200 bytes", size: 200, tls: true, conns: 64, goal: 0.85},
	{name: "tls-16k", what: "TLS 1.3, 16 KiB", size: 16 << 10, tls: true, conns: 64, goal: 0.85},
	{name: "tls-1m", what: "TLS 1.3, 1 MiB", size: 1 << 20, tls: true, conns: 16, slow: true, goal: 0.80},
	{name: "h2", what: "HTTP/2, 200 bytes", size: 200, client: byHTTP2, tls: true, conns: 16, goal: 0.90},
	{name: "h2-16k", what: "HTTP/2, 16 KiB", size: 16 << 10, client: byHTTP2, tls: true, conns: 16, goal: 0.90},
	{name: "h2-1m", what: "HTTP/2, 1 MiB", size: 1 << 20, client: byHTTP2, tls: true, conns: 8, slow: true, goal: 0.90},
	{name: "to-h2", what: "200 bytes, HTTP/2 to the server", size: 200, toHTTP2: true, conns: 64},
	{name: "ecdsa", what: "TLS 1.3 handshake, ECDSA P-256", client: byHandshakes, tls: true, conns: 4, goal: 1.0},
	{name: "ecdsa-resumed", what: "the same, resumed, one request", client: byHandshakes, tls: true, resumed: true, size: 200, conns: 4, extra: true},
	{name: "rsa", what: "TLS 1.3 handshake, RSA 2048", client: byHandshakes, tls: true, rsa: true, conns: 4},
	{name: "rsa-resumed", what: "the same, resumed, one request", client: byHandshakes, tls: true, rsa: true, resumed: true, size: 200, conns: 4, extra: true},
	{name: "pipeline", what: "with the log daemon, as packaged", size: 200, pipeline: packaged, conns: 64, goal: 0.70},
	{name: "pipeline-tuned", what: "with the log daemon, over UDP, tuned", size: 200, pipeline: tuned, conns: 64, extra: true},
	{name: "servers-10", what: "200 bytes, 10 servers", size: 200, servers: 10, conns: 64, extra: true},
	{name: "servers-100", what: "200 bytes, 100 servers", size: 200, servers: 100, conns: 64, extra: true},
	{name: "servers-1000", what: "200 bytes, 1,000 servers", size: 200, servers: 1000, conns: 64, extra: true},
	{name: "servers-10000", what: "200 bytes, 10,000 servers", size: 200, servers: 10_000, conns: 64, extra: true},
	{name: "two", what: "200 bytes, two threads on both cores", size: 200, threads: 2, conns: 64, extra: true},
	{name: "active", what: "200 bytes, 10,000 connections", size: 200, conns: 10_000, weighed: true, slow: true, extra: true},
}

// How a pipeline's log daemon is set up.
const (
	packaged = "packaged" // as the packages of each side do it: lb over UDP, HAProxy over a unix socket
	tuned    = "tuned"    // over UDP, with the settings of rsyslog that bench-syslog has found best
)
