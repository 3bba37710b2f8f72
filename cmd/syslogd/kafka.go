package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"os"

	"lbsyslogd/syslogd/clienttls"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/secretfile"
	"lbsyslogd/syslogd/sink"
	"lbsyslogd/syslogd/sink/kafka"
)

func openKafka(to *config.Forward) (sink.Peer, error) {
	settings, wrong := kafkaSettings(to)
	producer, err := kafka.New(settings)
	if err != nil {
		return nil, err
	}
	return producer, wrong
}

// kafkaSettings are those of a configuration. The error is what is wrong with the files now, which are read again for each connection.
func kafkaSettings(to *config.Forward) (s kafka.Settings, err error) {
	k := to.Kafka
	host, hostErr := os.Hostname()
	s = kafka.Settings{
		Brokers: k.Brokers, Topic: k.Topic, Key: k.PartitionBy, Host: cmp.Or(host, "-"), Compression: k.Compress, BatchBytes: k.MaxBatch, CreateTopics: k.Create,
		Mechanism: k.Mechanism, User: k.User, Password: func() (string, error) { return secretfile.Read(k.PasswordFile) },
	}
	var fileErr, tlsErr error
	if k.Mechanism != "" {
		_, fileErr = s.Password()
	}
	if to.Scheme == "kafka+tls" {
		files := clienttls.Files{CA: to.CA, Name: to.Name, Cert: to.Cert, Key: to.Key}
		_, tlsErr = files.Config("")
		s.TLS = func(host string) *tls.Config {
			settings, _ := files.Config(host) // what is wrong with the files then, the handshake says
			return settings
		}
	}
	return s, errors.Join(hostErr, fileErr, tlsErr)
}
