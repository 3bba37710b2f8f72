// Package grpc runs grpc-go's interoperability cases through lb: unary calls,
// streaming either way and both, deadlines, cancellation, metadata and statuses,
// over HTTP/2 to lb and to the server, with TLS on both sides and without.
package grpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// config has both halves over TLS, and both without.
const config = `
defaults
  mode http
  timeout client 20s
  timeout server 20s
  timeout connect 5s
  timeout http-keep-alive 60s
  log 127.0.0.1:%d format raw local0
  log-format "%%HPO %%tsc %%hs"
frontend plain
  bind 127.0.0.1:%d
  capture response header grpc-status len 2
  default_backend plain
backend plain
  server s 127.0.0.1:%d proto h2
frontend secure
  bind 127.0.0.1:%d ssl crt %s alpn h2,http/1.1
  capture response header grpc-status len 2
  default_backend secure
backend secure
  server s 127.0.0.1:%d ssl verify none alpn h2,http/1.1
`

var lb string // the binary

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "lb-grpc")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		lb = filepath.Join(dir, "lb")
		build := exec.Command("go", "build", "-trimpath", "-o", lb, "./cmd/lb")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// stack is lb between clients and servers of gRPC.
type stack struct {
	plain, secure *grpc.ClientConn
	lines         *net.UDPConn
}

func start(t *testing.T) *stack {
	t.Helper()
	dir := t.TempDir()
	pemFile, certificate := selfSigned(t, dir)
	lines, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lines.Close() })
	serve := func(opts ...grpc.ServerOption) int {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer(opts...)
		grpc_testing.RegisterTestServiceServer(s, interop.NewTestServer())
		go s.Serve(ln)
		t.Cleanup(s.Stop)
		return ln.Addr().(*net.TCPAddr).Port
	}
	front, secure := freePort(t), freePort(t)
	file := filepath.Join(dir, "lb.cfg")
	text := fmt.Sprintf(config, lines.LocalAddr().(*net.UDPAddr).Port, front, serve(), secure, pemFile, serve(grpc.Creds(credentials.NewServerTLSFromCert(&certificate))))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(lb, "-db", "-f", file)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	dial := func(port int, c credentials.TransportCredentials) *grpc.ClientConn {
		cc, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", port), grpc.WithTransportCredentials(c), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cc.Close() })
		return cc
	}
	return &stack{
		plain: dial(front, insecure.NewCredentials()), secure: dial(secure, credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})), lines: lines,
	}
}

// TestInterop runs the cases of grpc-go's interop client; one that fails ends the process with its reason.
func TestInterop(t *testing.T) {
	s := start(t)
	for name, cc := range map[string]*grpc.ClientConn{"plain": s.plain, "TLS": s.secure} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			tc := grpc_testing.NewTestServiceClient(cc)
			for range 2 {
				interop.DoEmptyUnaryCall(ctx, tc)
				interop.DoLargeUnaryCall(ctx, tc)
				interop.DoClientStreaming(ctx, tc)
				interop.DoServerStreaming(ctx, tc)
				interop.DoPingPong(ctx, tc)
				interop.DoEmptyStream(ctx, tc)
				interop.DoTimeoutOnSleepingServer(ctx, tc)
				interop.DoCancelAfterBegin(ctx, tc)
				interop.DoCancelAfterFirstResponse(ctx, tc)
				interop.DoCustomMetadata(ctx, tc)
				interop.DoStatusCodeAndMessage(ctx, tc)
				interop.DoSpecialStatusMessage(ctx, tc)
				interop.DoUnimplementedService(ctx, grpc_testing.NewUnimplementedServiceClient(cc))
				interop.DoUnimplementedMethod(ctx, cc)
			}
		})
	}
}

// TestStatusInLog: how a call ended stands in its log line, whether the status came in the head or in the trailers.
func TestStatusInLog(t *testing.T) {
	s := start(t)
	tc := grpc_testing.NewTestServiceClient(s.plain)
	for _, c := range []struct {
		code codes.Code
		want string
	}{{codes.OK, "---- {0}"}, {codes.NotFound, "---- {5}"}} {
		_, err := tc.UnaryCall(t.Context(), &grpc_testing.SimpleRequest{ResponseStatus: &grpc_testing.EchoStatus{Code: int32(c.code)}})
		if status.Code(err) != c.code {
			t.Fatal(err)
		}
		b := make([]byte, 1024)
		s.lines.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := s.lines.Read(b)
		if got := strings.TrimSpace(string(b[:n])); err != nil || got != "/grpc.testing.TestService/UnaryCall "+c.want {
			t.Errorf("logged %q, %v; want %s", got, err, c.want)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// selfSigned makes a certificate, also as a file with its key.
func selfSigned(t *testing.T, dir string) (file string, c tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "site.pem")
	data := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
