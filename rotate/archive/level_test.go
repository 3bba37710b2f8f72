package archive

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// access is lines as a balancer logs them: about size bytes, 500 lines a second.
func access(size int) []byte {
	r := rand.New(rand.NewPCG(1, 1))
	var b bytes.Buffer
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	paths := []string{"/", "/index.html", "/api/v1/items", "/api/v1/users/%d", "/static/app.%x.js", "/img/%d.png", "/login", "/search?q=%x"}
	for b.Len() < size {
		at = at.Add(2 * time.Millisecond)
		path := paths[min(r.IntN(len(paths)), r.IntN(len(paths)))]
		if strings.Contains(path, "%") {
			path = fmt.Sprintf(path, r.IntN(100000))
		}
		fmt.Fprintf(&b, "%s lb1 haproxy[%d]: 10.%d.%d.%d:%d [%s] www app/srv%d %d/0/%d/%d/%d 200 %d - - ---- %d/%d/%d/0/0 0/0 \"GET %s HTTP/1.1\"\n",
			at.Format(time.Stamp), 4711, r.IntN(4), r.IntN(256), r.IntN(256), 1024+r.IntN(60000), at.Format("02/Jan/2006:15:04:05.000"), r.IntN(8),
			r.IntN(3), r.IntN(5), r.IntN(200), r.IntN(300), 200+r.IntN(50000), 100+r.IntN(900), r.IntN(500), r.IntN(50), path)
	}
	return b.Bytes()
}

// cpu is how long this process has used processors: other programs may be busy.
func cpu(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLevels is what docs/rotate.md has the figures of: the size that is left, and what a byte costs to write and a block to read.
func BenchmarkLevels(b *testing.B) {
	text := access(64 << 20)
	if os.Getenv("LB_LONG") == "" {
		text = text[:8<<20]
	}
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
		for _, size := range []int{128 << 10, 256 << 10, 512 << 10, 1 << 20, 4 << 20} {
			b.Run(fmt.Sprintf("%v/%dKiB", level, size>>10), func(b *testing.B) {
				var out bytes.Buffer
				used := cpu(b)
				for b.Loop() {
					out.Reset()
					if err := write(&out, bytes.NewReader(text), nil, size, level); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)*float64(len(text))/1e6/(cpu(b)-used).Seconds(), "MB/cpu-s")
				b.ReportMetric(100*float64(out.Len())/float64(len(text)), "%left")
				a, err := Open(bytes.NewReader(out.Bytes()))
				if err != nil {
					b.Fatal(err)
				}
				defer a.Close()
				start := cpu(b)
				for i := range a.Blocks {
					if _, err := a.Read(i); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64((cpu(b)-start).Microseconds())/float64(len(a.Blocks)), "us/block")
			})
		}
	}
	b.Run("one frame", func(b *testing.B) {
		var out bytes.Buffer
		used := cpu(b)
		for b.Loop() {
			out.Reset()
			e, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(e, bytes.NewReader(text)); err != nil {
				b.Fatal(err)
			}
			e.Close()
		}
		b.ReportMetric(float64(b.N)*float64(len(text))/1e6/(cpu(b)-used).Seconds(), "MB/cpu-s")
		b.ReportMetric(100*float64(out.Len())/float64(len(text)), "%left")
	})
}
