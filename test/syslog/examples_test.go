package syslog_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/wait"
)

// TestExamplesOfSinks runs every example of docs/sinks.md: with the receivers' addresses exchanged for those of receivers here, and the files that it names
// made. The lines arrive, as the encoding has them, and so do the secrets.
func TestExamplesOfSinks(t *testing.T) {
	page, err := os.ReadFile("../../docs/sinks.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```").FindAllStringSubmatch(string(page), -1)
	if len(examples) < 8 {
		t.Fatalf("only %d examples were found", len(examples))
	}
	for i, e := range examples {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel() // until a batch is old enough, they wait
			runExample(t, e[1])
		})
	}
}

func runExample(t *testing.T, example string) {
	dir := t.TempDir()
	pem := filepath.Join(dir, "client.pem")
	if _, err := rig.WriteCertificate(pem, "127.0.0.1", "localhost"); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(pem)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(whole, whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.pem", "client.key"} {
		if err := os.WriteFile(filepath.Join(dir, name), whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secrets := regexp.MustCompile(`/etc/syslogd/([a-z-]+)\b[^.]`).FindAllStringSubmatch(example, -1)
	for _, s := range secrets {
		if err := os.WriteFile(filepath.Join(dir, s[1]), []byte("secret-of-"+s[1]+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var arrived func(d *daemon)
	encoding := regexp.MustCompile(`encoding: ([a-z-]+)`).FindStringSubmatch(example)
	if encoding == nil {
		example, arrived = exampleOfKafka(t, example, pair)
	} else {
		example, arrived = exampleOfHTTP(t, example, encoding[1], pair, secrets)
	}
	if !strings.HasPrefix(example, "  - ") {
		example = "  - match: \"*.*\"\n    file: /var/log/lb/lb.log\n    format: rfc5424\n" + example
	}
	d := configure(t, "listen: [udp://127.0.0.1:PORT]\noutputs:\n"+strings.NewReplacer("/etc/syslogd/", dir+"/", "/var/log/lb/", "DIR/").Replace(example))
	d.command = func() *exec.Cmd {
		c := exec.Command(binary(), "-f", d.config)
		c.Env = append(os.Environ(), "SSL_CERT_FILE="+pem) // where no ca is named it is the system's
		return c
	}
	d.run()
	in, err := net.Dial("udp", d.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for n := range 10 {
		if _, err := fmt.Fprintf(in, "<134>Nov 21 03:04:05 host1 haproxy[42]: n=%d end", n); err != nil {
			t.Fatal(err)
		}
	}
	arrived(d)
	wait.Until(t, "all to be confirmed", func() bool { f := d.status().Outputs[0].Forward; return f.Behind == 0 && f.Error == "" })
}

// exampleOfHTTP has an example send to a receiver of its encoding, over TLS where it says so.
func exampleOfHTTP(t *testing.T, example, encoding string, pair tls.Certificate, secrets [][]string) (string, func(*daemon)) {
	r := &moodyReceiver{t: t}
	for _, f := range sinkForms {
		if f.encoding == encoding {
			r.form = f
		}
	}
	if compress := regexp.MustCompile(`compress: ([a-z]+)`).FindStringSubmatch(example); compress == nil {
		r.form.compress = ""
	} else {
		r.form.compress = compress[1]
	}
	wanted := len(secrets)
	if strings.Contains(example, "X-Scope-OrgID") {
		wanted++
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		found := 0
		if request.Header.Get("X-Scope-OrgID") == "tenant1" {
			found++
		}
		_, password, _ := request.BasicAuth()
		for _, s := range secrets {
			secret := "secret-of-" + s[1]
			if request.Header.Get("Authorization") == "Bearer "+secret || request.Header.Get("X-Api-Key") == secret || password == secret {
				found++
			}
		}
		if client := strings.Contains(example, "client.key"); found != wanted || client && len(request.TLS.PeerCertificates) == 0 {
			t.Errorf("%d of %d secrets came", found, wanted)
		}
		r.take(w, request)
	}))
	if strings.Contains(example, "https://") {
		server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	example = regexp.MustCompile(`(https?)://[a-z0-9.]+(:\d+)?`).ReplaceAllString(example, "$1://"+server.Listener.Addr().String())
	return example, func(*daemon) {
		wait.Until(t, "the lines", func() bool { return len(r.taken()) >= 10 })
		for i, n := range r.taken() {
			if n != i {
				t.Errorf("%d comes in the place of %d", n, i)
			}
		}
	}
}

// exampleOfKafka has an example send to a broker that demands its password and speaks TLS. What it holds is a test of its own (kafka_test.go).
func exampleOfKafka(t *testing.T, example string, pair tls.Certificate) (string, func(*daemon)) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.SeedTopics(3, "logs"), kfake.EnableSASL(),
		kfake.Superuser("SCRAM-SHA-512", "syslogd", "secret-of-kafka-password"), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	addrs := cluster.ListenAddrs()
	example = strings.NewReplacer("kafka1.example.com", addrs[0], "kafka2.example.com", addrs[1]).Replace(example)
	return example, func(d *daemon) {
		wait.Until(t, "the lines to be confirmed", func() bool { return d.status().Outputs[0].Forward.Confirmed >= 10 })
	}
}
