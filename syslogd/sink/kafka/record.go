package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"lbsyslogd/syslogd/format"
	"lbsyslogd/syslogd/message"
	"lbsyslogd/syslogd/sink"
)

const (
	longestTopic = 249  // Kafka's bound
	mostTopics   = 4096 // that are remembered, so that a record needs no new string
	overhead     = 64   // bytes of a record besides its texts, at most
)

// An encoder makes records of lines. It belongs to one goroutine.
type encoder struct {
	host       string // whose files they are
	topic, key *format.Template

	message  message.Message
	envelope format.Envelope
	topics   map[string]string
	text     []byte // of the batch: everything that records point to, so that the lines may change
	headers  []kgo.RecordHeader
}

func newEncoder(s *Settings) (*encoder, error) {
	topic, err := format.ParseTemplate(s.Topic)
	if err != nil {
		return nil, err
	}
	key, err := format.ParseTemplate(s.Key)
	if err != nil {
		return nil, err
	}
	return &encoder{host: s.Host, topic: topic, key: key, topics: make(map[string]string)}, nil
}

// begin forgets the batch before. Nothing may use its records any more.
func (e *encoder) begin(lines, bytes int) {
	if most := bytes + lines*256; cap(e.text) < most {
		e.text = make([]byte, 0, most)
	}
	if cap(e.headers) < 2*lines {
		e.headers = make([]kgo.RecordHeader, 0, 2*lines)
	}
	e.text, e.headers = e.text[:0], e.headers[:0]
}

// record makes r of a line.
func (e *encoder) record(r *kgo.Record, line *sink.Record, now time.Time) {
	from := len(e.text)
	e.text = append(e.text, line.Line...)
	value := e.text[from:len(e.text):len(e.text)]
	e.message = message.Message{}
	e.message.Parse(value)
	when, ok := e.message.Time(now)
	if !ok {
		when = now
	}
	envelope := &e.envelope
	*envelope = format.Envelope{Received: when, Host: e.host, Raw: value, Size: len(value)}
	*r = kgo.Record{Value: value, Timestamp: when, Topic: e.topicOf(envelope)}
	from = len(e.text)
	e.text = e.key.Append(e.text, &e.message, envelope)
	e.text = e.text[:len(e.text)-1] // it ends with a newline
	r.Key = e.text[from:len(e.text):len(e.text)]

	first := len(e.headers)
	place := key{e.host, line.Place, int64(len(line.Line)) + 1}
	from = len(e.text)
	e.text = place.append(e.text)
	e.headers = append(e.headers, kgo.RecordHeader{Key: HeaderPlace, Value: e.text[from:len(e.text):len(e.text)]})
	if line.Prev != line.Place {
		from = len(e.text)
		e.text = line.Prev.Append(e.text)
		e.headers = append(e.headers, kgo.RecordHeader{Key: HeaderAfter, Value: e.text[from:len(e.text):len(e.text)]})
	}
	r.Headers = e.headers[first:len(e.headers):len(e.headers)]
}

// topicOf is the topic of the message. What a name of a topic may not have, no sender can bring in: it becomes format.Other.
func (e *encoder) topicOf(envelope *format.Envelope) string {
	from := len(e.text)
	e.text, _ = e.topic.AppendName(e.text, &e.message, envelope)
	name := e.text[from:min(len(e.text), from+longestTopic)]
	e.text = e.text[:from]
	if known, ok := e.topics[string(name)]; ok {
		return known
	}
	if len(e.topics) >= mostTopics {
		clear(e.topics)
	}
	topic := string(name)
	e.topics[topic] = topic
	return topic
}

// size is about what a record takes in a batch, and never less.
func size(r *kgo.Record) int {
	n := len(r.Key) + len(r.Value) + overhead
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value) + 10
	}
	return n
}
