package search

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/rotate/archive"
	"lbsyslogd/syslogd/format"
)

// generated is lines of a balancer, 2000 a second from a time on, until there are size bytes.
type generated struct {
	at   time.Time
	left int
	buf  []byte
	r    *rand.Rand
	n    int
}

func (g *generated) text(s string) *generated { g.buf = append(g.buf, s...); return g }
func (g *generated) number(below int) *generated {
	g.buf = strconv.AppendInt(g.buf, int64(g.r.IntN(below)), 10)
	return g
}

func (g *generated) Read(p []byte) (int, error) {
	if len(g.buf) == 0 {
		if g.left <= 0 {
			return 0, io.EOF
		}
		for range 500 {
			g.n++
			if g.n%4 == 0 {
				g.at = g.at.Add(2 * time.Millisecond)
			}
			g.buf = g.at.AppendFormat(g.buf, time.Stamp)
			g.text(" lb1 haproxy[4711]: 10.1.").number(256).text(".").number(256).text(":1").number(50000).text(" [")
			g.buf = g.at.AppendFormat(g.buf, "02/Jan/2006:15:04:05.000")
			g.text("] www app/srv").number(8).text(" 0/0/1/").number(200).text("/").number(300).text(" 200 ").number(50000)
			g.text(" - - ---- 500/400/30/3/0 0/0 \"GET /api/v1/items/").number(100000).text(" HTTP/1.1\"\n")
		}
		g.left -= len(g.buf)
	}
	n := copy(p, g.buf)
	if g.buf = g.buf[n:]; len(g.buf) == 0 {
		g.buf = nil
	}
	return n, nil
}

// TestTenGigabytes measures a search for a minute: LB_LONG=1, LB_GIGABYTES=10, and LB_KEEP a directory to leave the files in, with a configuration for
// syslogd grep.
func TestTenGigabytes(t *testing.T) {
	if os.Getenv("LB_LONG") == "" {
		t.Skip("LB_LONG")
	}
	gigabytes, err := strconv.Atoi(os.Getenv("LB_GIGABYTES"))
	if err != nil {
		gigabytes = 1
	}
	dir := os.Getenv("LB_KEEP")
	if dir == "" {
		dir = t.TempDir()
	}
	path := filepath.Join(dir, "lb.log")
	const fileSize = 100_000_000
	at := begin
	made, err := filepath.Glob(filepath.Join(dir, "lb-*.zst")) // by a run that was ended
	if err != nil {
		t.Fatal(err)
	}
	if len(made) > 0 {
		if at, err = time.Parse("lb-2006-01-02T15-04-05.000.log.zst", filepath.Base(made[len(made)-1])); err != nil {
			t.Fatal(err)
		}
	}
	for i := len(made); i < 10*gigabytes; i++ {
		src := &generated{at: at, left: fileSize, r: rand.New(rand.NewPCG(uint64(i), 1))}
		reader, err := format.NewReader("traditional", time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		reader.In(at)
		f, err := os.Create(filepath.Join(dir, "unnamed"))
		if err != nil {
			t.Fatal(err)
		}
		if err := archive.Write(f, src, reader.Time); err != nil {
			t.Fatal(err)
		}
		f.Close()
		at = src.at
		name := filepath.Join(dir, "lb-"+at.Format("2006-01-02T15-04-05.000")+".log.zst")
		if err := os.Rename(f.Name(), name); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	live, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	src := &generated{at: at, left: fileSize, r: rand.New(rand.NewPCG(99, 1))}
	if _, err := io.Copy(live, src); err != nil {
		t.Fatal(err)
	}
	live.Close()
	t.Logf("lines from %v to %v", begin, src.at)
	settings := filepath.Join(dir, "syslogd.yaml")
	if err := os.WriteFile(settings, []byte("listen: [udp://127.0.0.1:5514]\ntime_zone: UTC\noutputs: [{file: "+path+"}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, back := range []float64{0.1, 0.5, 0.9, 0.999} {
		from := begin.Add(time.Duration(back * float64(src.at.Sub(begin)))).Truncate(time.Minute)
		for range 3 {
			s := Searcher{Logs: []Log{{Output: "lb", Path: path, Zone: time.UTC}}, Query: Query{
				Since: from, Until: from.Add(time.Minute), Pattern: regexp.MustCompile("items/77777 "),
			}}
			start, before, n := time.Now(), processorTime(t), 0
			if err := s.Run(false, func(Line) bool { n++; return true }); err != nil {
				t.Fatal(err)
			}
			t.Logf("minute from %v: %d lines in %v, %v of processor time, %d bytes looked at", from, n, time.Since(start).Round(time.Millisecond/10),
				(processorTime(t) - before).Round(time.Millisecond/10), s.scans[0].read)
		}
		const minute = "2006-01-02T15:04"
		t.Logf("time syslogd grep --config %s --since %s --until %s 'items/77777 '", settings, from.Format(minute), from.Add(time.Minute).Format(minute))
	}
}

// processorTime is what this process has used.
func processorTime(t *testing.T) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
