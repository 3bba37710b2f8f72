package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"lbsyslogd/syslogd/format"
)

// Kafka is topics of an Apache Kafka.
type Kafka struct {
	Brokers     []string // host:port of some of its brokers
	Topic       string   // template
	PartitionBy string   // template: records for which it gives the same go to the same partition
	Compress    string   // empty: the sink's default
	MaxBatch    int      // bytes of a batch of records; 0: the sink's default
	Create      bool     // have topics that are missing be made

	Mechanism    string // of SASL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; empty: none
	User         string
	PasswordFile string
}

var kafkaSchemes = []string{"kafka", "kafka+tls"}

const (
	kafkaPort          = "9092"
	defaultPartitionBy = "%host%"
	longestTopic       = 249
)

// kafkaKeys are the keys of a Kafka.
func (d *decoder) kafkaKeys(f *Forward) map[string]func(*yaml.Node) {
	k := &Kafka{PartitionBy: defaultPartitionBy}
	f.Kafka = k
	return d.tlsKeys(f, d.batchKeys(f, map[string]func(*yaml.Node){
		"to":            func(n *yaml.Node) { d.list(n, d.kafkaBroker(f)) },
		"topic":         d.scalar(func(text string) error { k.Topic = text; return checkTopic(text) }),
		"partition_by":  d.scalar(func(text string) error { k.PartitionBy = text; _, err := format.ParseTemplate(text); return err }),
		"compress":      func(n *yaml.Node) { k.Compress = d.choice(n, "none", "gzip", "snappy", "lz4", "zstd") },
		"max_batch":     d.sizeBetween(&k.MaxBatch, 1<<10, 512<<20),
		"create_topics": d.boolean(&k.Create),
		"sasl": func(n *yaml.Node) {
			d.mapping(n, "sasl", map[string]func(*yaml.Node){
				"mechanism": func(n *yaml.Node) {
					k.Mechanism = strings.ToUpper(d.choice(n, "plain", "scram-sha-256", "scram-sha-512"))
				},
				"user":          d.text(&k.User),
				"password_file": d.peersFile(&k.PasswordFile),
			})
			if k.Mechanism == "" || k.User == "" || k.PasswordFile == "" {
				d.add(n, "sasl wants a mechanism, a user and a password_file")
			}
		},
	}))
}

func (d *decoder) checkKafka(n *yaml.Node, f *Forward) {
	if f.Kafka.Topic == "" {
		d.add(n, "forward to %s has no topic; want for example {to: %s, topic: logs}", f, f)
	}
	d.checkTLS(n, f, f.Scheme == "kafka+tls", "an address with kafka+tls://")
}

// kafkaBroker reads the address of a broker.
func (d *decoder) kafkaBroker(f *Forward) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		u, err := url.Parse(text)
		switch {
		case err != nil || !slices.Contains(kafkaSchemes, u.Scheme) || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
			return fmt.Errorf("forward %q: want kafka://HOST[:PORT] or kafka+tls://HOST[:PORT], several of them in a list", redact(text))
		case u.User != nil:
			return fmt.Errorf("forward to %s: a password belongs in a file; want sasl: {mechanism: scram-sha-512, user: %s, password_file: FILE}", u.Host, u.User.Username())
		case f.Scheme != "" && f.Scheme != u.Scheme:
			return fmt.Errorf("forward to %s and %s: brokers of one Kafka are reached with TLS or without, all of them", f, text)
		}
		address := u.Host
		if u.Port() == "" {
			address = net.JoinHostPort(u.Hostname(), kafkaPort)
		}
		if _, _, err := splitAddress(address); err != nil {
			return fmt.Errorf("forward %q: %w", redact(text), err)
		}
		if f.Address == "" {
			f.Scheme, f.Address = u.Scheme, address
		}
		f.Kafka.Brokers = append(f.Kafka.Brokers, address)
		return nil
	})
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// checkTopic says what is wrong with a template for topics, whatever its fields bring.
func checkTopic(text string) error {
	t, err := format.ParseTemplate(text)
	if err != nil {
		return fmt.Errorf("topic: %w", err)
	}
	name := t.OtherName()
	if !topicName.MatchString(name) || name == "." || name == ".." || len(name) > longestTopic {
		return fmt.Errorf("topic %q: Kafka's topics have up to %d letters, digits, dots, underscores and dashes; fields such as %%host%% bring no others", text, longestTopic)
	}
	return nil
}
