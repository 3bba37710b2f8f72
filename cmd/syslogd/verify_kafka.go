package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/cmd/internal/console"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/sink/kafka"
)

// verifySent reads back what outputs have sent, and says what is missing.
func verifySent(args []string, out io.Writer, _ *console.Writer) error {
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	file := flags.String("f", "", "")
	output := flags.String("output", "", "")
	inKafka := flags.Bool("kafka", false, "")
	timeout := flags.Duration("timeout", 0, "")
	if err := parse(flags, args[1:]); err != nil {
		return err
	}
	if !*inKafka {
		return usageError{errors.New("verify wants to know what; --kafka is what outputs have sent to Kafka")}
	}
	cfg, from, err := load(*file)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	if *timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, *timeout, fmt.Errorf("not done after %v", (*timeout).Round(time.Second)))
		defer cancel()
	}
	return verifyKafka(ctx, cfg, from, *output, out)
}

func verifyKafka(ctx context.Context, cfg *config.Config, from, name string, out io.Writer) error {
	var gaps, read int
	for _, o := range cfg.Outputs {
		if o.Forward == nil || o.Forward.Kafka == nil || name != "" && o.Name != name {
			continue
		}
		settings, err := kafkaSettings(o.Forward)
		if err != nil {
			return fmt.Errorf("output %s: %w", o.Name, err)
		}
		report, err := kafka.Verify(ctx, settings)
		if cause := context.Cause(ctx); cause != nil && err != nil {
			err = errors.Join(cause, err)
		}
		if err != nil {
			return fmt.Errorf("output %s: %w", o.Name, err)
		}
		fmt.Fprintf(out, "%s: ", o.Name)
		report.Print(out)
		read++
		gaps += len(report.Gaps)
	}
	switch {
	case read == 0 && name != "":
		return fmt.Errorf("%s has no output %q that is sent to Kafka", from, name)
	case read == 0:
		return fmt.Errorf("%s has no output that is sent to Kafka", from)
	case gaps > 0:
		return fmt.Errorf("syslogd verify: %d gaps", gaps)
	}
	return nil
}
