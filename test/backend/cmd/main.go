// Command cmd runs backends for trying things by hand: `go run ./test/backend/cmd 127.0.0.1:8001 127.0.0.1:8002`.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"lbsyslogd/test/backend"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "backend:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addrs []string) error {
	if len(addrs) == 0 {
		return fmt.Errorf("name at least one address, as in 127.0.0.1:8001")
	}
	for i, addr := range addrs {
		s, err := backend.Start(fmt.Sprintf("b%d", i+1), addr)
		if err != nil {
			return err
		}
		defer s.Close()
		fmt.Printf("b%d listens on %s\n", i+1, s.Addr())
	}
	<-ctx.Done()
	return nil
}
