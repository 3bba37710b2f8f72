package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestRecordAllocates(t *testing.T) {
	e, err := newEncoder(&Settings{Host: "here", Topic: "logs-%tag%", Key: "%host%"})
	if err != nil {
		t.Fatal(err)
	}
	lines, records := (&log{inode: 7}).lines(10), make([]kgo.Record, 10)
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		e.begin(len(lines), 1000)
		for i := range lines {
			e.record(&records[i], &lines[i], now)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkRecord is a record of a line.
func BenchmarkRecord(b *testing.B) {
	e, err := newEncoder(&Settings{Host: "here", Topic: "logs", Key: "%host%"})
	if err != nil {
		b.Fatal(err)
	}
	l := &log{inode: 7}
	lines := l.lines(1000)
	records := make([]kgo.Record, len(lines))
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		e.begin(len(lines), 100*len(lines))
		for i := range lines {
			e.record(&records[i], &lines[i], now)
		}
	}
}
