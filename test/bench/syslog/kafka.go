package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaSubjects are ours with each compression, and rsyslog's module (librdkafka) where it is installed. All have the producer idempotent, and wait for
// all brokers.
func kafkaSubjects(ours string) (all []sinkSubject) {
	plain := forwarding(ours, "")
	for _, compress := range []string{"none", "lz4", "zstd"} {
		all = append(all, sinkSubject{"syslogd " + compress, plain, func(broker string) subject {
			return forwarding(ours, fmt.Sprintf(", forward: {to: \"kafka://%s\", topic: logs, compress: %s}", broker, compress))
		}, "rsyslog omkafka " + compress})
	}
	if there, _ := filepath.Glob("/usr/lib/*/rsyslog/omkafka.so"); len(there) == 0 {
		return all
	}
	for _, compress := range []string{"none", "lz4"} {
		all = append(all, sinkSubject{"rsyslog omkafka " + compress, rsyslogd("rsyslog", sinkInput+"}\n"), func(broker string) subject {
			return rsyslogd("rsyslog", `module(load="omkafka")
`+sinkInput+`  action(type="omkafka" broker="`+broker+`" topic="logs" template="RSYSLOG_SyslogProtocol23Format" partitions.auto="on" resubmitOnFailure="on"
    confParam=["compression.codec=`+compress+`", "enable.idempotence=true", "acks=all", "queue.buffering.max.messages=2000000", "batch.num.messages=10000", "linger.ms=100"]
    queue.type="LinkedList" queue.size="2000000" queue.dequeueBatchSize="4096" action.resumeRetryCount="-1")
}
`)
		}, ""})
	}
	return all
}

// measureKafka prints what a line costs to a broker in this process.
func measureKafka(all []sinkSubject, rounds, burst int, out io.Writer) error {
	c := new(counter)
	costs := make([]sinkCosts, len(all))
	for range rounds {
		for i, s := range all {
			without, err := s.without.sinkCost(nil, burst, messageSize)
			if err != nil {
				return err
			}
			// A cluster for each: it keeps what it gets in memory.
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "logs"))
			if err != nil {
				return err
			}
			cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
				cluster.KeepControl()
				c.countRecords(r.(*kmsg.ProduceRequest))
				return nil, nil, false
			})
			with, err := s.with(cluster.ListenAddrs()[0]).sinkCost(c, burst, messageSize)
			cluster.Close()
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			costs[i].add(without, with)
		}
	}
	fmt.Fprintf(out, "\nKafka (a broker in this process): %d-byte messages, a burst of %d, %d rounds; what a line costs more than without the sink\n\n", messageSize, burst, rounds)
	return printSinks(all, costs, "Kafka", out)
}

// countRecords counts what a request brings.
func (c *counter) countRecords(r *kmsg.ProduceRequest) {
	for _, topic := range r.Topics {
		for _, p := range topic.Partitions {
			var batch kmsg.RecordBatch
			if batch.ReadFrom(p.Records) == nil {
				c.lines.Add(int64(batch.NumRecords))
			}
		}
	}
}
