package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestForwardToKafka(t *testing.T) {
	const head = "listen: udp://:514\noutputs:\n- file: a\n  format: rfc5424\n"
	row := func(text, want string) *Config {
		t.Helper()
		c, err := Parse("x.yaml", []byte(head+text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
		return c
	}
	o := row("  forward: {to: [\"kafka+tls://a\", \"kafka+tls://[::1]:9\"], topic: logs-%host%, partition_by: \"%host%/%tag%\", compress: lz4, max_batch: 1MB, create_topics: yes,\n"+
		"    sasl: {mechanism: scram-sha-512, user: u, password_file: p}, ca: c, hold: 1GB, batch: {age: 3s}, backoff: 7s}\n", "").Outputs[0]
	k := o.Forward.Kafka
	if o.Forward.String() != "kafka+tls://a:9092" || !o.Forward.Sink() || o.Rotate.Hold != 1e9 || o.Forward.CA != "c" || o.Forward.Batch != (Batch{Age: 3 * time.Second, Backoff: 7 * time.Second}) ||
		!slices.Equal(k.Brokers, []string{"a:9092", "[::1]:9"}) || k.Topic != "logs-%host%" || k.PartitionBy != "%host%/%tag%" || k.Compress != "lz4" || k.MaxBatch != 1e6 || !k.Create ||
		k.Mechanism != "SCRAM-SHA-512" || k.User != "u" || k.PasswordFile != "p" {
		t.Errorf("got %+v, %+v", o.Forward, k)
	}
	if k := row("  forward: {to: kafka://a, topic: logs}\n", "").Outputs[0].Forward.Kafka; k.PartitionBy != "%host%" {
		t.Errorf("got %+v", k)
	}
	for text, want := range map[string]string{
		"kafka://h":                                                                         "x.yaml:5: forward to kafka://h:9092 has no topic; want for example {to: kafka://h:9092, topic: logs}",
		"{to: kafka:///p, topic: logs}":                                                     `x.yaml:5: forward "kafka:///p": want kafka://HOST[:PORT]`,
		"{to: kafka://h/p, topic: logs}":                                                    "want kafka://HOST[:PORT]",
		"{to: \"kafka://h:99999\", topic: logs}":                                            `"99999" is no port`,
		"{to: \"kafka://u:geheim@h\", topic: logs}":                                         "a password belongs in a file; want sasl: {mechanism: scram-sha-512, user: u, password_file: FILE}",
		"{to: [kafka://a, kafka+tls://b], topic: logs}":                                     "brokers of one Kafka are reached with TLS or without",
		"{to: [kafka://a, https://b], topic: logs}":                                         "want kafka://HOST[:PORT]",
		"{to: kafka://h, topic: a b}":                                                       `x.yaml:5: topic "a b": Kafka's topics have up to 249 letters`,
		"{to: kafka://h, topic: logs-%hots%}":                                               `"%hots%" is not a field`,
		"{to: kafka://h, topic: " + strings.Repeat("x", 250) + "}":                          "up to 249 letters",
		"{to: kafka://h, topic: logs, partition_by: \"%x%\"}":                               `"%x%" is not a field`,
		"{to: kafka://h, topic: logs, compress: rar}":                                       `"rar" is not known; none, gzip, snappy, lz4, zstd are`,
		"{to: kafka://h, topic: logs, encoding: ndjson}":                                    `"encoding" is not a key of forward`,
		"{to: kafka://h, topic: logs, ca: x}":                                               "ca, name, cert and key mean nothing for kafka://h:9092; want an address with kafka+tls://",
		"{to: kafka://h, topic: logs, sasl: {user: u}}":                                     "sasl wants a mechanism, a user and a password_file",
		"{to: kafka://h, topic: logs, sasl: {mechanism: gssapi}}":                           `"gssapi" is not known; plain, scram-sha-256, scram-sha-512 are`,
		"{to: kafka://h, topic: logs, sasl: {mechanism: plain, user: u, password: geheim}}": `"password" is not a key of sasl`,
		"{to: kafka://h, topic: logs, max_batch: 5}":                                        `"5" is not from 1024 to`,
		"{to: kafka://h, topic: logs, hold: 0}":                                             "hold is 0",
	} {
		row("  forward: "+text+"\n", want)
		if _, err := Parse("x.yaml", []byte(head+"  forward: "+text+"\n")); strings.Contains(err.Error(), "geheim") {
			t.Errorf("the message has a password: %v", err)
		}
	}
}
