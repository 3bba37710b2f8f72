package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"lbsyslogd/test/rig"
)

// TestWorkersWriteProfiles: a build with the tag profile leaves what cmd/profile.pgo is made of (test/pgo), one file for each worker, also of one that a
// reload has replaced.
func TestWorkersWriteProfiles(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "lb")
	build := exec.Command("go", "build", "-buildvcs=false", "-tags", "profile", "-o", program, "lbsyslogd/cmd/lb")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ports, err := rig.FreePorts("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", ports[0])
	path, socket := filepath.Join(dir, "conf"), filepath.Join(dir, "master")
	text := "defaults\n    mode http\n    timeout client 5s\n    timeout connect 5s\n    timeout server 5s\nlisten l\n    bind " + addr + "\n    http-request return status 200\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LB_PROFILE", dir)
	lb, err := rig.Start(program, "-W", "-S", socket, "-f", path)
	if err != nil {
		t.Fatal(err)
	}
	defer lb.Stop()
	if err := rig.Until(t.Context(), "lb to listen", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil || !lb.Running()
	}); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "reload", "-S", socket).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, lb.Output())
	}
	if err := lb.Signal(syscall.SIGUSR1); err != nil { // which gives the workers all the time that they need
		t.Fatal(err)
	}
	<-lb.Done()
	if err := lb.Err(); err != nil {
		t.Fatalf("%v\n%s", err, lb.Output())
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.prof"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v %v", files, err)
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		unzipped, err := gzip.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		if profile, err := io.ReadAll(unzipped); err != nil || !bytes.Contains(profile, []byte("nanoseconds")) {
			t.Errorf("%s: %v, no profile in %q", filepath.Base(name), err, profile)
		}
	}
}
