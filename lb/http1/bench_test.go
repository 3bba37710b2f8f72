package http1

import "testing"

// What a browser, a load generator and a server send.
const (
	browserRequest = "GET /static/js/app.3f2a1b.js?v=12 HTTP/1.1\r\n" +
		"Host: www.example.com\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
		"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Referer: https://www.example.com/some/page/that/links/here\r\n" +
		"Connection: keep-alive\r\n" +
		"Cookie: sid=0123456789abcdef0123456789abcdef; theme=dark; _ga=GA1.2.1234567890.1700000000\r\n" +
		"Sec-Fetch-Dest: script\r\n" +
		"Sec-Fetch-Mode: no-cors\r\n" +
		"\r\n"
	smallRequest  = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: ApacheBench/2.3\r\nAccept: */*\r\n\r\n"
	usualResponse = "HTTP/1.1 200 OK\r\n" +
		"Server: nginx/1.22.1\r\n" +
		"Date: Tue, 19 Nov 2024 10:11:12 GMT\r\n" +
		"Content-Type: text/html; charset=utf-8\r\n" +
		"Content-Length: 200\r\n" +
		"Last-Modified: Mon, 18 Nov 2024 10:11:12 GMT\r\n" +
		"ETag: \"673b1234-c8\"\r\n" +
		"Accept-Ranges: bytes\r\n\r\n"
)

func BenchmarkParseRequest(b *testing.B) {
	for name, text := range map[string]string{"browser": browserRequest, "small": smallRequest} {
		b.Run(name, func(b *testing.B) {
			var h Head
			in := []byte(text)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				if _, err := h.ParseRequest(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseResponse(b *testing.B) {
	var h Head
	in := []byte(usualResponse)
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := h.ParseResponse(in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppend renders a request with one field dropped and one added, as
// a usual configuration does.
func BenchmarkAppend(b *testing.B) {
	var h Head
	in, dst := []byte(browserRequest), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.ParseRequest(in); err != nil {
			b.Fatal(err)
		}
		h.Del("connection")
		h.AddString("X-Forwarded-For", "192.0.2.1")
		dst = h.Append(dst[:0])
	}
}

func BenchmarkChunks(b *testing.B) {
	in := append([]byte("4000\r\n"), make([]byte, 0x4000)...)
	in = append(in, "\r\n10;ext=1\r\n0123456789abcdef\r\n0\r\nDigest: x\r\n\r\n"...)
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		var c Chunks
		if n, err := c.Pass(in); err != nil || n != len(in) {
			b.Fatal(n, err)
		}
	}
}
