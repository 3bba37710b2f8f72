package kafka

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Settings say which brokers there are and what goes to them.
type Settings struct {
	Brokers      []string // host:port of some of the cluster's
	Topic, Key   string   // templates of format.Template; records with the same key go to the same partition
	Host         string   // this host, in the idempotence keys
	Compression  string   // none, gzip, snappy, lz4 or zstd; empty: zstd
	BatchBytes   int      // of a batch before compression; at most the topic's max.message.bytes
	CreateTopics bool     // have brokers make topics that are missing, if they allow it
	// TLS gives the settings for a broker's host; nil: plain TCP.
	TLS func(host string) *tls.Config

	// Mechanism is that of SASL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, or empty. Password is asked for each connection, so that a new one is used.
	Mechanism string
	User      string
	Password  func() (string, error)

	Patience time.Duration // for which Deliver waits for brokers before it says that something is wrong; 0: 5 s

	lookAgain time.Duration // least time between two questions for who leads which partition; 0: 500 ms
}

const (
	defaultBatch    = 900_000 // brokers take 1 MiB unless told otherwise
	defaultPatience = 5 * time.Second
	defaultAgain    = 500 * time.Millisecond // the library's 5 s would be an outage of 5 s at each change of a leader
	dialTimeout     = 10 * time.Second
)

var codecs = map[string]func() kgo.CompressionCodec{
	"none": kgo.NoCompression, "gzip": kgo.GzipCompression, "snappy": kgo.SnappyCompression, "lz4": kgo.Lz4Compression, "": kgo.ZstdCompression, "zstd": kgo.ZstdCompression,
}

// options are what a client is made of for producing and for reading. Making one connects to nobody.
func (s *Settings) options(t *trouble) ([]kgo.Opt, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(s.Brokers...), kgo.ClientID("syslogd"), kgo.WithLogger(t), kgo.DialTimeout(dialTimeout),
		kgo.MetadataMinAge(cmp.Or(s.lookAgain, defaultAgain)),
		kgo.DisableClientMetrics(), // nobody asked for a report of us to the brokers
	}
	if s.TLS != nil {
		options = append(options, kgo.Dialer(s.dialTLS))
	}
	if s.Mechanism != "" {
		mechanism, err := s.mechanism(t)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return options, nil
}

// dialTLS checks the certificate of each broker.
func (s *Settings) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: s.TLS(host)}
	return dialer.DialContext(ctx, network, address)
}

func (s *Settings) mechanism(t *trouble) (sasl.Mechanism, error) {
	password := func() (string, error) {
		password, err := s.Password()
		t.hide(password)
		return password, err
	}
	scrams := func(context.Context) (scram.Auth, error) {
		password, err := password()
		return scram.Auth{User: s.User, Pass: password}, err
	}
	switch s.Mechanism {
	case "PLAIN":
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			password, err := password()
			return plain.Auth{User: s.User, Pass: password}, err
		}), nil
	case "SCRAM-SHA-256":
		return scram.Sha256(scrams), nil
	case "SCRAM-SHA-512":
		return scram.Sha512(scrams), nil
	}
	return nil, fmt.Errorf("SASL mechanism %q is not known; PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 are", s.Mechanism)
}

// producer makes a client that produces: idempotently and for all replicas in sync, which are the library's defaults, and only when told to.
func (s *Settings) producer(t *trouble) (*kgo.Client, error) {
	options, err := s.options(t)
	if err != nil {
		return nil, err
	}
	codec, known := codecs[s.Compression]
	if !known {
		return nil, fmt.Errorf("compression %q is not known; none, gzip, snappy, lz4 and zstd are", s.Compression)
	}
	options = append(options,
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(codec(), kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(int32(s.BatchBytes)),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), // as Java's: other producers choose the same partition for a key
		kgo.ManualFlushing(), kgo.MaxBufferedRecords(1<<30),
	)
	if s.CreateTopics {
		options = append(options, kgo.AllowAutoTopicCreation())
	}
	return kgo.NewClient(options...)
}

// A trouble is what goes wrong between the library and the brokers, which it tries again without telling anybody else.
type trouble struct {
	mu    sync.Mutex // guards the fields below
	err   error
	level kgo.LogLevel
	at    time.Time
	// secret is the last password, which no message may have, even if a broker repeats it.
	secret string
}

// troubleLasts is for how long an error hides those of less weight, most of which come of it.
const troubleLasts = 10 * time.Second

// Level implements kgo.Logger.
func (t *trouble) Level() kgo.LogLevel { return kgo.LogLevelInfo }

// Log implements kgo.Logger. Of what the library says, only errors are kept.
func (t *trouble) Log(level kgo.LogLevel, text string, pairs ...any) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if err, ok := pairs[i+1].(error); ok && err != nil && pairs[i] == "err" && !errors.Is(err, context.Canceled) {
			t.note(level, fmt.Errorf("%s: %w", text, err))
		}
	}
}

func (t *trouble) note(level kgo.LogLevel, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.err == nil || level <= t.level || now.Sub(t.at) > troubleLasts {
		t.err, t.level, t.at = err, level, now
	}
}

// over says that brokers have answered.
func (t *trouble) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = nil
}

func (t *trouble) last() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// hide keeps a password out of what is said.
func (t *trouble) hide(secret string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.secret = secret
}

// named adds which brokers an error is about, and what many of them mean when they end a connection.
func (t *trouble) named(s *Settings, err error) error {
	hint := ""
	if s.Mechanism != "" && errors.Is(err, io.EOF) {
		hint = fmt.Sprintf(" (some brokers do this when they do not know user %s with this password and %s)", s.User, s.Mechanism)
	}
	err = fmt.Errorf("kafka at %s: %w%s", strings.Join(s.Brokers, ", "), err, hint)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.secret != "" && strings.Contains(err.Error(), t.secret) {
		return errors.New(strings.ReplaceAll(err.Error(), t.secret, "(secret)"))
	}
	return err
}
