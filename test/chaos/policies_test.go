package chaos

import (
	"net"
)

// dialBeside opens another connection to where p is connected.
func dialBeside(p *peer) (*net.TCPConn, error) {
	return net.DialTCP("tcp", nil, p.c.RemoteAddr().(*net.TCPAddr))
}

// policies: what the configuration asks for.
var policies = []scene{
	{name: "deny", config: "http-request deny", client: asks(get)},
	{name: "deny_status", config: "http-request deny deny_status 429", client: asks(post + "body")},
	{name: "deny_response", config: "http-response deny if { status 200 }", client: asks(get)},
	{name: "redirect", config: "redirect location /x", client: asks(get)},
	{name: "redirect_prefix", config: "redirect prefix http://b code 301", client: asks("GET /p?q HTTP/1.1\r\nHost: a\r\n\r\n")},
	{name: "redirect_post", wire: true, config: "redirect location /x", client: asks(post + "body")},
	{name: "redirect_close", config: "redirect location /x", client: asks(last)},
	{name: "return", config: "http-request return status 200 content-type text/plain string hi", client: asks(get)},
	{name: "return_head", config: "http-request return status 200 content-type text/plain string hi", client: asks("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")},
	{name: "request_headers", config: "http-request set-header X-A b\nhttp-request add-header X-A c\nhttp-request del-header X-B",
		client: asks("GET / HTTP/1.1\r\nHost: a\r\nX-a: 1\r\nX-B: 2\r\n\r\n")},
	{name: "response_headers", config: "http-response set-header X-A b\nhttp-response add-header X-A c\nhttp-response del-header X-B",
		server: says("HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nok"), client: asks(get)},
	{name: "response_status", config: "http-response set-status 203", client: asks(get)},
	{name: "cookie_insert", wire: true, config: "cookie S insert indirect nocache\nserver s1 $s cookie one", client: asks(get)},
	{name: "cookie_valid", config: "cookie S insert indirect nocache\nserver s1 $s cookie one", client: asks("GET / HTTP/1.1\r\nHost: a\r\nCookie: A=b; S=one; C=d\r\n\r\n")},
	{name: "cookie_invalid", wire: true, config: "cookie S insert indirect nocache\nserver s1 $s cookie one", client: asks("GET / HTTP/1.1\r\nHost: a\r\nCookie: S=two\r\n\r\n")},
	{name: "cookie_down", wire: true, config: "cookie S insert indirect nocache\nserver s1 $s cookie one disabled\nserver s2 $s cookie two", client: asks("GET / HTTP/1.1\r\nHost: a\r\nCookie: S=one\r\n\r\n")},
	{name: "cookie_direct", config: "cookie S insert\nserver s1 $s cookie one", client: asks("GET / HTTP/1.1\r\nHost: a\r\nCookie: S=one\r\n\r\n")},
	{name: "cookie_server_sets", wire: true, config: "cookie S insert indirect nocache\nserver s1 $s cookie one",
		server: says("HTTP/1.1 200 OK\r\nSet-Cookie: S=mine; path=/\r\nSet-Cookie: T=x\r\nContent-Length: 2\r\n\r\nok"), client: asks(get)},
	{name: "cookie_preserve", config: "cookie S insert indirect preserve\nserver s1 $s cookie one",
		server: says("HTTP/1.1 200 OK\r\nSet-Cookie: S=mine; path=/\r\nContent-Length: 2\r\n\r\nok"), client: asks(get)},
	{name: "captures", config: "capture request header Host len 5\ncapture request header X-None len 5\ncapture response header Server len 3",
		server: says("HTTP/1.1 200 OK\r\nServer: abcdef\r\nContent-Length: 2\r\n\r\nok"), client: asks("GET / HTTP/1.1\r\nHost: long.example\r\n\r\n")},
	{name: "forwardfor", config: "option forwardfor", client: asks("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")},
	{name: "forwardfor_except", config: "option forwardfor except 127.0.0.0/8", client: asks(get)},
	{name: "forwardfor_if_none", config: "option forwardfor if-none header X-Client", client: asks("GET / HTTP/1.1\r\nHost: a\r\nX-Client: 1.2.3.4\r\n\r\n")},
	{name: "http_server_close", config: "option http-server-close", lines: 2, client: func(p *peer) { p.send(get); p.until("ok", 1); p.send(get); p.until("ok", 2) }},
	{name: "httpclose", config: "option httpclose", client: asks(get)},
	{name: "reuse_never", config: "http-reuse never", lines: 2, client: func(p *peer) { p.send(get); p.until("ok", 1); p.send(get); p.until("ok", 2) }},
	{name: "reuse_always", config: "http-reuse always", lines: 2, client: func(p *peer) {
		p.send(last)
		p.rest()
		q := second(p)
		q.send(last)
		q.rest()
	}},
	{name: "monitor", config: "monitor-uri /alive", lines: -1, client: asks("GET /alive HTTP/1.1\r\nHost: a\r\n\r\n")},
	{name: "stats_unauthorized", ours: `stats_unauthorized stats_unauthorized/<STATS> +/+/+/-1/+ 401 + - - LR-- 0 0/0 "GET /s HTTP/1.1"`, wire: true, config: "stats enable\nstats uri /s\nstats realm here\nstats auth a:b", client: asks("GET /s HTTP/1.1\r\nHost: a\r\n\r\n")},
	{name: "errorfile", wire: true, config: "errorfile 503 /etc/haproxy/errors/503.http\nserver s1 $dead", client: asks(get)},
	{name: "errorfile_empty", config: "errorfile 503 /dev/null\nserver s1 $dead", client: asks(get)},
}
