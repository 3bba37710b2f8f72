package main

import (
	"os"

	"lbsyslogd/syslogd/clienttls"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/daemon"
	"lbsyslogd/syslogd/peers"
	"lbsyslogd/syslogd/sink"
	"lbsyslogd/syslogd/sink/encode"
	"lbsyslogd/syslogd/sink/post"
	"lbsyslogd/syslogd/sink/relpout"
)

// sinks are what this program can send outputs to, by the scheme of the address. Only the files that this table names functions of import the packages that do it.
func sinks() map[string]daemon.OpenSink {
	return map[string]daemon.OpenSink{
		"http": openHTTP, "https": openHTTP, "http+srv": openHTTP, "https+srv": openHTTP,
		"relp": openRELP, "relp+tls": openRELP,
		"kafka": openKafka, "kafka+tls": openKafka,
	}
}

func openRELP(to *config.Forward) (sink.Peer, error) {
	s := &relpout.Sink{
		Peers: &peers.List{Entries: to.Peers}, Secure: to.Scheme == "relp+tls",
		TLS: clienttls.Files{CA: to.CA, Name: to.Name, Cert: to.Cert, Key: to.Key},
	}
	return s, s.Check()
}

func openHTTP(to *config.Forward) (sink.Peer, error) {
	h := to.HTTP
	options := h.Options
	options.Origin, _ = os.Hostname() // without a name ids are those of one host
	encoding, err := encode.New(h.Encoding, options)
	if err != nil {
		return nil, err
	}
	s := &post.Sink{
		URLs: h.URLs, Encoding: encoding, Timeout: h.Timeout, Headers: h.Headers,
		TLS:     clienttls.Files{CA: to.CA, Name: to.Name, Cert: to.Cert, Key: to.Key},
		Secrets: post.Secrets{Bearer: h.BearerFile, User: h.User, Password: h.PasswordFile, Headers: h.HeaderFiles},
	}
	if h.Compress != "none" {
		s.Compress = post.Compression(h.Compress)
	}
	return s, s.Check()
}
