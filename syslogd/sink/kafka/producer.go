package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"lbsyslogd/syslogd/sink"
)

// A Producer sends batches of lines. It belongs to one goroutine.
type Producer struct {
	settings Settings
	encoder  *encoder
	client   *kgo.Client // nil: to be made
	trouble  trouble
	limit    int       // bytes of a round: less than the settings' when brokers find that too large
	current  *delivery // not finished yet; nil: none
	spare    *delivery // finished: its memory is for the next
}

// A delivery is a batch under way: over several rounds, and perhaps several calls.
type delivery struct {
	records []kgo.Record
	places  []sink.Place
	state   []state
	todo    []int  // records to produce, in order
	ids     []int  // where todo begins
	round   *round // under way; nil: none
	refusal error  // why the last record was refused that was
}

type state uint8

const (
	waiting state = iota
	taken
	refused
)

// A round is what was produced and is not answered yet.
type round struct {
	ids  []int // of the delivery's records
	left atomic.Int64
	done chan struct{}

	flushed chan struct{} // closed when the library has ended the flush, soon after done

	mu     sync.Mutex // guards the field below until done is closed
	failed map[*kgo.Record]error
}

// answered implements the library's promise for each record.
func (r *round) answered(record *kgo.Record, err error) {
	if err != nil {
		r.mu.Lock()
		if r.failed == nil {
			r.failed = make(map[*kgo.Record]error)
		}
		r.failed[record] = err
		r.mu.Unlock()
	}
	if r.left.Add(-1) == 0 {
		close(r.done)
	}
}

// New prepares to send. It connects to nobody: that is up to the first Deliver.
func New(s Settings) (*Producer, error) {
	s.BatchBytes = cmp.Or(s.BatchBytes, defaultBatch)
	s.Patience = cmp.Or(s.Patience, defaultPatience)
	encoder, err := newEncoder(&s)
	if err != nil {
		return nil, err
	}
	p := &Producer{settings: s, encoder: encoder, limit: s.BatchBytes}
	if _, known := codecs[s.Compression]; !known {
		return nil, fmt.Errorf("compression %q is not known; none, gzip, snappy, lz4 and zstd are", s.Compression)
	}
	if s.Mechanism != "" {
		_, err = s.mechanism(&p.trouble)
	}
	return p, err
}

// Close gives up what is not acknowledged.
func (p *Producer) Close() error {
	p.reset()
	return nil
}

// reset ends the client, whose records in flight fail or are stored without our knowing.
func (p *Producer) reset() {
	if p.client != nil {
		p.client.Close()
	}
	if p.current != nil && p.current.round != nil {
		<-p.current.round.done // the library says for each record that it was given up
	}
	p.client, p.current, p.limit = nil, nil, p.settings.BatchBytes
}

// Deliver sends lines and says what has become of them: taken by all brokers in sync, or not known yet.
func (p *Producer) Deliver(ctx context.Context, lines []sink.Record) sink.Answer {
	if p.current != nil && !p.current.is(lines) {
		p.reset() // nobody asks for them again
	}
	if p.client == nil {
		client, err := p.settings.producer(&p.trouble)
		if err != nil {
			return sink.Answer{Verdict: sink.Later, Err: err}
		}
		p.client = client
	}
	if p.current == nil {
		p.current = p.begin(lines)
	}
	d := p.current
	patience := time.NewTimer(p.settings.Patience)
	defer patience.Stop()
	for d.round != nil || len(d.todo) > 0 {
		if d.round == nil {
			p.produce(d)
		}
		select {
		case <-d.round.done:
			if err := p.settle(d); err != nil {
				return sink.Answer{Verdict: sink.Later, Err: p.trouble.named(&p.settings, err)}
			}
			patience.Reset(p.settings.Patience)
		case <-patience.C:
			return sink.Answer{Verdict: sink.Later, Err: p.waiting()}
		case <-ctx.Done():
			return sink.Answer{Verdict: sink.Later, Err: p.waiting()}
		}
	}
	p.current, p.spare = nil, d
	a := sink.Answer{Verdict: sink.Taken, Err: d.refusal}
	for id, s := range d.state {
		if s == refused {
			a.Refused = append(a.Refused, id)
		}
	}
	d.refusal = nil
	return a
}

// begin makes the records of lines.
func (p *Producer) begin(lines []sink.Record) *delivery {
	n := len(lines)
	d := p.spare
	p.spare = nil
	if d == nil || cap(d.records) < n {
		d = &delivery{records: make([]kgo.Record, n), places: make([]sink.Place, n), state: make([]state, n), ids: make([]int, n)}
	}
	d.records, d.places, d.state, d.todo = d.records[:n], d.places[:n], d.state[:n], d.ids[:n]
	clear(d.state)
	bytes := 0
	for i := range lines {
		bytes += len(lines[i].Line)
	}
	p.encoder.begin(n, bytes)
	now := time.Now()
	for i := range lines {
		p.encoder.record(&d.records[i], &lines[i], now)
		d.places[i], d.todo[i] = lines[i].Place, i
	}
	return d
}

// is says whether d is of the same lines.
func (d *delivery) is(lines []sink.Record) bool {
	return slices.EqualFunc(d.places, lines, func(p sink.Place, r sink.Record) bool { return p == r.Place })
}

// produce begins a round with as many records as may be in one batch. Were there two batches for a partition, the first could be refused
// and the second be taken.
func (p *Producer) produce(d *delivery) {
	n, bytes := 0, 0
	for n < len(d.todo) {
		bytes += size(&d.records[d.todo[n]])
		if n > 0 && bytes > p.limit {
			break
		}
		n++
	}
	r := &round{ids: d.todo[:n:n], done: make(chan struct{}), flushed: make(chan struct{})}
	d.todo, d.round = d.todo[n:], r
	r.left.Store(int64(n))
	answered := r.answered
	for _, id := range r.ids {
		p.client.Produce(context.Background(), &d.records[id], answered)
	}
	client := p.client
	go func() {
		_ = client.Flush(client.Context()) // ends with the round or with the client
		close(r.flushed)
	}()
}

// settle takes the answers of a round. An error says why the delivery cannot go on now.
func (p *Producer) settle(d *delivery) (err error) {
	r := d.round
	d.round = nil
	<-r.flushed // as long as the library flushes, it sends what the next round gives it one by one, in batches of its own
	var again []int
	blamed := make(map[partition][]int) // for what is in a batch, which is refused whole
	for _, id := range r.ids {
		rec := &d.records[id]
		switch e := r.failed[rec]; {
		case e == nil:
			d.state[id] = taken
		case isForContent(e):
			at := partition{rec.Topic, rec.Partition}
			blamed[at] = append(blamed[at], id)
			again = append(again, id)
		default:
			again = append(again, id)
			err = e
		}
	}
	for _, ids := range blamed {
		if len(ids) == 1 { // it alone is to blame
			rec := &d.records[ids[0]]
			d.refuse(ids[0], fmt.Errorf("%w: a record of %d bytes and of %s for topic %s", r.failed[rec], len(rec.Value), rec.Timestamp.UTC().Format(time.RFC3339), rec.Topic))
			continue
		}
		bytes := 0
		for _, id := range ids {
			bytes += size(&d.records[id])
		}
		p.limit = min(p.limit, bytes/2)
	}
	todo := make([]int, 0, len(again)+len(d.todo))
	for _, id := range again {
		if d.state[id] == waiting {
			todo = append(todo, id)
		}
	}
	d.todo = append(todo, d.todo...)
	if err == nil && len(blamed) == 0 {
		p.trouble.over()
		p.limit = min(p.limit+p.limit/8+1, p.settings.BatchBytes) // the limit was another topic's, or one record's
	}
	if err != nil && isFatal(err) {
		p.client.Close()
		p.client = nil
	}
	return err
}

// isForContent says whether a batch was refused for what is in it: it is too large, or at least one record may not be as it is (its time is too far from
// the broker's, max.message.bytes and message.timestamp.after.max.ms of the topic). Which one it is the answer says to nobody who asks the library, so that smaller
// batches are sent until one record alone is refused.
func isForContent(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge) || errors.Is(err, kerr.InvalidRecord) || errors.Is(err, kerr.InvalidTimestamp)
}

type partition struct {
	topic  string
	number int32
}

func (d *delivery) refuse(id int, err error) {
	d.state[id], d.refusal = refused, err
}

// isFatal says whether only a new client can go on. The library never sends anything to a topic that was deleted and made anew.
func isFatal(err error) bool {
	return errors.Is(err, kgo.ErrClientClosed) || errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) || errors.Is(err, kerr.OutOfOrderSequenceNumber)
}

// waiting says what the brokers are waited for.
func (p *Producer) waiting() error {
	if err := p.trouble.last(); err != nil {
		return p.trouble.named(&p.settings, err)
	}
	return p.trouble.named(&p.settings, errors.New("no acknowledgement yet"))
}
