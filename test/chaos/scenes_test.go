package chaos

import (
	"strings"
	"time"
)

const (
	get  = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
	ok   = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
)

// answer is the server that behaves: one answer for each head, until the end.
func answer(p *peer, _ int) {
	for n := 1; p.ended == ""; n++ {
		if p.head(n); p.ended != "" || strings.Count(p.got.String(), "\r\n\r\n") < n {
			return
		}
		p.send(ok)
	}
}

// says makes a server that answers its first request with text and stays.
func says(text string) func(p *peer, n int) {
	return func(p *peer, _ int) { p.head(1); p.send(text); p.settle() }
}

// saysAndEnds makes one that closes behind its answer.
func saysAndEnds(text string) func(p *peer, n int) {
	return func(p *peer, _ int) { p.head(1); p.send(text); p.close() }
}

// silent reads and says nothing.
func silent(p *peer, _ int) { p.rest() }

// asks makes a client that sends text and looks at what comes.
func asks(text string) func(p *peer) {
	return func(p *peer) { p.send(text); p.head(1) }
}

// asksToTheEnd makes one that waits until the connection is closed.
func asksToTheEnd(text string) func(p *peer) {
	return func(p *peer) { p.send(text); p.rest() }
}

// pause lets what was sent before arrive by itself: a scene is about the order
// of things, and nothing on the wire tells when the other side has looked.
func pause() { <-time.After(60 * time.Millisecond) }

// saysAndWaits makes a server that answers so, and waits for the end.
func saysAndWaits(text string) func(p *peer, _ int) {
	return func(p *peer, _ int) { p.head(1); p.send(text); p.rest() }
}

// A request and an answer that make a tunnel.
const (
	switching = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
	switched  = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
)

// aborts: one side leaves, in each phase.
var aborts = []scene{
	{name: "client_end_before_request", wire: true, lines: -1, client: func(p *peer) { p.shut() }},
	{name: "client_end_before_request_dontlognull", wire: true, config: "option dontlognull", lines: -1, client: func(p *peer) { p.shut() }},
	{name: "client_reset_before_request", client: func(p *peer) { pause(); p.reset() }},
	{name: "client_end_in_head", client: func(p *peer) { p.send("GET / HT"); pause(); p.shut() }},
	{name: "client_reset_in_head", client: func(p *peer) { p.send("GET / HT"); pause(); p.reset() }},
	{name: "client_end_in_body", server: silent, client: func(p *peer) { p.send(post + "a"); pause(); p.shut() }},
	{name: "client_reset_in_body", server: silent, client: func(p *peer) { p.send(post + "a"); pause(); p.reset() }},
	{name: "client_end_while_waiting", server: func(p *peer, _ int) { p.head(1); pause(); pause(); p.send(ok) },
		client: func(p *peer) { p.send(get); pause(); p.shut() }},
	{name: "client_reset_while_waiting", ours: `client_reset_while_waiting client_reset_while_waiting/s1 +/+/+/-1/+ -1 0 - - CH-- 0 0/0 "GET / HTTP/1.1"`, server: silent, client: func(p *peer) { p.send(get); pause(); p.reset() }},
	{name: "client_reset_in_response", wire: true, server: func(p *peer, _ int) {
		p.head(1)
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nab")
		for p.ended == "" {
			pause()
			p.send("x")
			p.read(time.Millisecond)
		}
	}, client: func(p *peer) { p.send(get); p.head(1); p.reset() }},
	{name: "client_end_in_queue", config: "option abortonclose\ntimeout queue 1s\nserver s1 $s maxconn 1", lines: 2, server: silent,
		client: func(p *peer) {
			p.send(get)
			q := second(p)
			q.send("GET /q HTTP/1.1\r\nHost: a\r\n\r\n")
			pause()
			q.close()
			pause()
			p.reset()
		}},
	{name: "abortonclose_end_while_waiting", wire: true, config: "option abortonclose", server: silent, client: func(p *peer) { p.send(get); pause(); p.shut(); p.rest() }},
	{name: "abortonclose_reset_while_waiting", wire: true, config: "option abortonclose", server: silent, client: func(p *peer) { p.send(get); pause(); p.reset() }},
	{name: "abortonclose_end_in_response", wire: true, config: "option abortonclose", server: saysAndWaits("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"),
		client: func(p *peer) { p.send(get); p.head(1); pause(); p.shut(); p.rest() }},
	{name: "tunnel_client_end", server: saysAndWaits(switched), client: func(p *peer) { p.send(switching); p.head(1); pause(); p.shut(); p.rest() }},
	{name: "tunnel_client_reset", server: saysAndWaits(switched), client: func(p *peer) { p.send(switching); p.head(1); pause(); p.reset() }},
	{name: "server_end_before_head", server: func(p *peer, _ int) { p.head(1); p.close() }, client: asks(get)},
	{name: "server_reset_before_head", server: func(p *peer, _ int) { p.head(1); p.reset() }, client: asks(get)},
	{name: "server_end_at_once", server: func(p *peer, _ int) { p.close() }, client: asks(get)},
	{name: "server_end_in_head", server: saysAndEnds("HTTP/1.1 200 OK\r\nContent-Le"), client: asks(get)},
	{name: "server_end_in_body", server: saysAndEnds("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"), client: asks(get)},
	{name: "server_reset_in_body", server: func(p *peer, _ int) {
		p.head(1)
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
		pause()
		p.reset()
	}, client: asks(get)},
	{name: "server_end_in_chunks", wire: true, server: saysAndEnds("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), client: asks(get)},
	{name: "server_end_until_close", server: saysAndEnds("HTTP/1.1 200 OK\r\n\r\nall of it"), client: asks(get)},
	{name: "server_refuses", config: "server s1 $dead", client: asks(get)},
	{name: "server_refuses_retry", config: "retries 2\nserver s1 $dead", client: asks(get)},
	{name: "server_refuses_redispatch", config: "retries 2\noption redispatch\nserver s1 $dead\nserver s2 $s", client: asks(get)},
	{name: "server_refuses_no_redispatch", config: "retries 2\nserver s1 $dead\nserver s2 $s", client: asks(get)},
	{name: "server_refuses_bound", wire: true, config: "retries 2\noption redispatch\ncookie S insert indirect nocache\nserver s1 $dead cookie one\nserver s2 $s cookie two",
		client: asks("GET / HTTP/1.1\r\nHost: a\r\nCookie: S=one\r\n\r\n")},
	{name: "server_stale_get", ours: `server_stale_get server_stale_get/s1 +/+/+/+/+ 200 + - - ---- 0 0/0 "GET / HTTP/1.1"
server_stale_get server_stale_get/s1 +/+/+/+/+ 200 + - - ---- 1 0/0 "GET / HTTP/1.1"`, wire: true, server: func(p *peer, n int) {
		p.head(1)
		p.send(ok)
		if n == 1 {
			p.head(2)
			p.close()
		}
	}, config: "retries 3", lines: 2, client: func(p *peer) { p.send(get); p.until("ok", 1); p.send(get); p.until("ok", 2) }},
	{name: "server_stale_post", ours: `server_stale_post server_stale_post/s1 +/+/+/+/+ 200 + - - ---- 0 0/0 "GET / HTTP/1.1"
server_stale_post server_stale_post/s1 +/+/+/-1/+ 502 + - - SH-- 0 0/0 "POST / HTTP/1.1"`, wire: true, server: func(p *peer, n int) {
		p.head(1)
		p.send(ok)
		if n == 1 {
			p.head(2)
			p.close()
		}
	}, config: "retries 3", lines: 2, client: func(p *peer) { p.send(get); p.until("ok", 1); p.send(post + "body"); p.rest() }},
	{name: "no_server", config: "noserver", client: asks(get)},
	{name: "all_down", config: "server s1 $s disabled", client: asks(get)},

	{name: "tcp_client_ends", tcp: true, server: func(p *peer, _ int) { p.rest(); p.send("bye"); p.close() },
		client: func(p *peer) { p.send("hello"); p.shut(); p.rest() }},
	{name: "tcp_client_resets", tcp: true, server: silent, client: func(p *peer) { p.send("hello"); pause(); p.reset() }},
	{name: "tcp_server_ends", tcp: true, server: func(p *peer, _ int) { p.send("hi"); p.close() }, client: func(p *peer) { p.rest() }},
	{name: "tcp_server_resets", tcp: true, server: func(p *peer, _ int) { p.send("hi"); pause(); p.reset() }, client: func(p *peer) { p.rest() }},
	{name: "tcp_refused", tcp: true, config: "server s1 $dead", client: func(p *peer) { p.rest() }},
	{name: "tcp_no_server", tcp: true, config: "noserver", client: func(p *peer) { p.rest() }},
}

// second opens another connection next to p's.
func second(p *peer) *peer {
	c, err := dialBeside(p)
	if err != nil {
		return p
	}
	return &peer{c: c}
}

// timeouts: nobody moves.
var timeouts = []scene{
	{name: "timeout_request_none", wire: true, config: "timeout http-request 300ms", client: func(p *peer) { p.rest() }},
	{name: "timeout_request_none_dontlognull", wire: true, config: "timeout http-request 300ms\noption dontlognull", lines: -1, client: func(p *peer) { p.rest() }},
	{name: "timeout_request_part", config: "timeout http-request 300ms", client: asksToTheEnd("GET / HTTP/1.1\r\nHo")},
	{name: "timeout_request_part_client", config: "timeout client 300ms", client: asksToTheEnd("GET / HTTP/1.1\r\nHo")},
	{name: "timeout_request_second", config: "timeout http-request 300ms", lines: 2, client: func(p *peer) {
		p.send(get)
		p.until("ok", 1)
		p.send("GET / HTTP/1.1\r\nHo")
		p.rest()
	}},
	{name: "timeout_client_body", ours: `timeout_client_body timeout_client_body/s1 +/+/+/-1/+ 408 + - - cD-- 0 0/0 "POST / HTTP/1.1"`, wire: true, config: "timeout client 300ms", server: silent, client: asksToTheEnd(post + "a")},
	{name: "timeout_client_body_in_response", config: "timeout client 300ms", server: says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"),
		client: asksToTheEnd(post + "a")},
	{name: "timeout_server_head", config: "timeout server 300ms", server: silent, client: asksToTheEnd(get)},
	{name: "timeout_server_head_post", config: "timeout server 300ms", server: silent, client: asksToTheEnd(post + "body")},
	{name: "timeout_server_body", config: "timeout server 300ms", server: func(p *peer, _ int) {
		p.head(1)
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
		p.rest()
	}, client: asksToTheEnd(get)},
	{name: "timeout_keep_alive", config: "timeout http-keep-alive 300ms", client: func(p *peer) { p.send(get); p.until("ok", 1); p.rest() }},
	{name: "timeout_keep_alive_by_request", config: "timeout http-request 300ms", client: func(p *peer) { p.send(get); p.until("ok", 1); p.rest() }},
	{name: "timeout_queue", config: "timeout queue 300ms\nserver s1 $s maxconn 1", lines: 2, server: silent, client: func(p *peer) {
		p.send(get)
		pause()
		q := second(p)
		q.send("GET /q HTTP/1.1\r\nHost: a\r\n\r\n")
		q.rest()
		p.reset()
	}},
	{name: "timeout_tunnel", config: "timeout tunnel 300ms", server: func(p *peer, _ int) {
		p.head(1)
		p.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		p.rest()
	}, client: asksToTheEnd("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")},
	{name: "timeout_tcp_client", tcp: true, config: "timeout client 300ms", server: silent, client: func(p *peer) { p.rest() }},
	{name: "timeout_tcp_server", tcp: true, config: "timeout server 300ms", server: silent, client: func(p *peer) { p.send("x"); p.rest() }},
	{name: "timeout_tcp_tunnel", ours: `timeout_tcp_tunnel timeout_tcp_tunnel/s1 +/+/+ 0 cD 0 0/0`, tcp: true, config: "timeout tunnel 300ms", server: silent, client: func(p *peer) { p.send("x"); p.rest() }},
	{name: "timeout_tcp_client_fin", tcp: true, config: "timeout client-fin 300ms", server: silent2, client: func(p *peer) { p.send("x"); p.shut(); p.rest() }},
	{name: "timeout_tcp_client_stays", tcp: true, config: "timeout client-fin 300ms",
		server: func(p *peer, _ int) { p.shut(); p.rest() }, client: func(p *peer) { p.rest(); <-time.After(time.Second) }},
	{name: "timeout_tcp_server_stays", tcp: true, config: "timeout server-fin 300ms", server: silent2, client: func(p *peer) { p.send("x"); p.shut(); p.rest() }},
	{name: "queue_served", config: "timeout queue 2s\nserver s1 $s maxconn 1", lines: 2,
		server: func(p *peer, _ int) {
			p.head(1)
			pause()
			pause()
			pause()
			p.send(ok)
			p.close()
		},
		client: func(p *peer) {
			p.send(get)
			pause()
			q := second(p)
			q.send("GET /q HTTP/1.1\r\nHost: a\r\n\r\n")
			q.until("ok", 1)
		}},
	{name: "timeout_tcp_server_fin", tcp: true, config: "timeout server-fin 300ms",
		server: func(p *peer, _ int) { p.shut(); p.rest() }, client: func(p *peer) { p.rest(); p.settle() }},
}

// silent2 stays although the other side has ended.
func silent2(p *peer, _ int) { p.rest(); <-time.After(time.Second) }
