package chaos

// messages: heads and bodies in every form.
var messages = []scene{
	{name: "plain", client: asks(get)},
	{name: "close", client: asks(last)},
	{name: "old_client", client: asks("GET / HTTP/1.0\r\n\r\n")},
	{name: "old_client_keeps", client: asks("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")},
	{name: "old_server", server: saysAndEnds("HTTP/1.0 200 OK\r\n\r\nhello"), client: asks(get)},
	{name: "old_server_keeps", server: says("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"), client: asks(get)},
	{name: "head_lying", server: says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"), client: asks("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")},
	{name: "head_chunked", server: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), client: asks("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")},
	{name: "no_content", server: says("HTTP/1.1 204 No Content\r\n\r\n"), client: asks(get)},
	{name: "not_modified_lying", server: says("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"), client: asks(get)},
	{name: "chunked", server: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), client: asks(get)},
	{name: "chunked_old_client", wire: true, server: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), client: asksToTheEnd("GET / HTTP/1.0\r\n\r\n")},
	{name: "trailers", wire: true, server: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n"), client: asks(get)},
	{name: "chunked_request", server: func(p *peer, _ int) { p.until("0\r\n\r\n", 1); p.send(ok) },
		client: asks("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")},
	{name: "pipelined", lines: 2, client: func(p *peer) { p.send(get + last); p.rest() }},
	{name: "expect", server: func(p *peer, _ int) {
		p.head(1)
		p.send("HTTP/1.1 100 Continue\r\n\r\n")
		p.until("body", 1)
		p.send(ok)
	}, client: func(p *peer) {
		p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
		p.head(1)
		p.send("body")
		p.until("ok", 1)
	}},
	{name: "expect_refused", wire: true, ours: `expect_refused expect_refused/s1 +/+/+/+/+ 417 + - - ---- 0 0/0 "POST / HTTP/1.1"`, server: says("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno"), client: func(p *peer) {
		p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
		p.until("no", 1)
		p.settle()
	}},
	{name: "early_answer", wire: true, server: func(p *peer, _ int) { p.head(1); p.send(ok); p.until("body", 1); p.head(2); p.send(ok) }, lines: 2,
		client: func(p *peer) { p.send(post); p.until("ok", 1); p.send("body" + last); p.rest() }},
	{name: "early_answer_and_end", server: func(p *peer, _ int) { p.head(1); p.send(ok); pause(); p.close() },
		client: func(p *peer) { p.send(post + "b"); p.until("ok", 1); pause(); pause(); p.send("ody" + get) }},
	{name: "early_answer_says_close", server: saysAndEnds("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"),
		client: func(p *peer) { p.send(post + "b"); p.until("no", 1); pause(); p.send("ody" + get) }},
	{name: "early_answer_then_client_ends", server: says(ok), client: func(p *peer) { p.send(post + "b"); p.until("ok", 1); p.shut() }},
	{name: "early_answer_server_close_mode", config: "option http-server-close", lines: 2, server: saysAndEnds(ok),
		client: func(p *peer) { p.send(post + "b"); p.until("ok", 1); pause(); p.send("ody" + get); p.until("ok", 2) }},
	{name: "early_answer_half_body_chunked", wire: true, server: saysAndEnds(ok), lines: 2, client: func(p *peer) {
		p.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbo")
		p.until("ok", 1)
		pause()
		p.send("dy\r\n0\r\n\r\n" + get)
		p.until("ok", 2)
	}},
	{name: "deny_before_body", config: "http-request deny", client: func(p *peer) { p.send(post); p.head(1); pause(); p.send("body" + get) }},
	{name: "deny_expect", config: "http-request deny", client: func(p *peer) {
		p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
		p.head(1)
	}},
	{name: "interim_unasked", server: says("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok), client: asks(get)},
	{name: "interim_then_gone", server: saysAndEnds("HTTP/1.1 100 Continue\r\n\r\n"), client: asks(get)},
	{name: "upgrade", server: func(p *peer, _ int) {
		p.head(1)
		p.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello")
		p.until("bye", 1)
		p.close()
	}, client: func(p *peer) {
		p.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		p.until("hello", 1)
		p.send("bye")
		p.rest()
	}},
	{name: "upgrade_refused", lines: 2, client: func(p *peer) {
		p.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		p.until("ok", 1)
		p.send(last)
		p.rest()
	}},
	{name: "upgrade_unasked", server: says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), client: asks(last)},
	{name: "connect", wire: true, server: func(p *peer, _ int) {
		p.head(1)
		p.send("HTTP/1.1 200 OK\r\n\r\nhello")
		p.until("bye", 1)
		p.close()
	}, client: func(p *peer) {
		p.send("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
		p.until("hello", 1)
		p.send("bye")
		p.rest()
	}},
	{name: "connect_refused", wire: true, server: says("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"), client: asks("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")},
	{name: "absolute_uri", client: asks("GET http://b/x HTTP/1.1\r\nHost: b\r\n\r\n")},
	{name: "absolute_uri_other_host", client: asks("GET http://b/x HTTP/1.1\r\nHost: c\r\n\r\n")},
	{name: "no_host", wire: true, ours: `no_host no_host/<NOSRV> -1/-1/-1/-1/+ 400 0 - - PR-- 0 0/0 "<BADREQ>"`, client: asks("GET / HTTP/1.1\r\n\r\n")},
	{name: "bad_request", client: asks("GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n")},
	{name: "bad_request_line", client: asks("hello\r\n\r\n")},
	{name: "no_request_at_all", client: asksToTheEnd("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
	{name: "bad_chunk_size", ours: `bad_chunk_size bad_chunk_size/<NOSRV> +/-1/-1/-1/+ 400 + - - PR-- 0 0/0 "POST / HTTP/1.1"`, server: silent, client: asks("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")},
	{name: "bad_response", server: says("what?\r\n\r\n"), client: asks(get)},
	{name: "no_response_at_all", server: says("what?"), client: asks(get)},
	{name: "bad_response_head", server: says("HTTP/1.1 200 OK\r\nA B: c\r\n\r\n"), client: asks(get)},
	{name: "bad_response_chunk", server: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), client: asksToTheEnd(get)},
	{name: "server_closes_header", server: saysAndEnds("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"), client: asks(get)},
	{name: "server_says_more", server: says(ok + "extra"), client: asks(get)},
	{name: "empty_line_first", client: asks("\r\n" + get)},
	{name: "put_delete_options", lines: 1, client: asks("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")},
}
