package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/cmd/internal/console"
	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/daemon"
)

const pipeUsage = `syslogd pipe writes its standard input to a file and rotates that, without losing, tearing or repeating a line. When the disk takes nothing it reads
nothing either, and goes on when it does.

  program | syslogd pipe [OPTION]... FILE

  --size SIZE, --every WHEN     rotate before the file gets larger than 100MB; at hour, day, week, month, day 03:30, sun 03:30 or by cron fields
  --keep NUMBER, --max-age DURATION, --max-total SIZE, --min-free SIZE
                                which rotated files stay: so many; so long (90d); as long as they take no more, or leave so much of the disk
  --compress zstd|gzip|none     how rotated files are stored (zstd, with an index of times)
  --numbered                    call them FILE.1, FILE.2 as logrotate does; else FILE-2026-11-21T03-04-05.678.log
  --chain                       keep journals for syslogd verify
  --mode MODE                   of new files (0640)
  --sync WHEN                   force the file to the disk: rotate (when it is rotated), interval (each second too), always, never

At the end of the input, and at SIGTERM after what was already in the pipe, it writes all it has, syncs and ends. SIGINT is left to the program
before it. SIGHUP opens the file again, SIGUSR1 rotates.
`

func pipe(args []string, _ io.Writer, errs *console.Writer) error {
	path, o, err := parsePipe(args)
	if err != nil {
		return err
	}
	o.Log = logger(errs)
	o.Times = daemon.TimesOf("raw", nil)
	o.Compressor = daemon.CompressWith("/proc/self/exe", "raw", nil)
	o.Ring = -1 // what the disk does not take is not read
	w, err := rotate.Open(path, o)
	if err != nil {
		return err
	}
	p := pump{to: w, log: o.Log, in: int(os.Stdin.Fd())}
	err = p.run()
	return errors.Join(err, w.Close())
}

func parsePipe(args []string) (path string, o rotate.Options, err error) {
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	size := func(name string, to *int64) {
		flags.Func(name, "", func(text string) (err error) { *to, err = config.ParseSize(text); return err })
	}
	size("size", &o.Size)
	size("max-total", &o.MaxTotal)
	size("min-free", &o.MinFree)
	flags.Func("every", "", func(text string) (err error) { o.Schedule, err = rotate.ParseSchedule(text); return err })
	flags.Func("max-age", "", func(text string) (err error) { o.MaxAge, err = config.ParseDuration(text); return err })
	flags.IntVar(&o.Keep, "keep", 0, "")
	compress := flags.String("compress", "zstd", "")
	flags.BoolVar(&o.Chain, "chain", false, "")
	numbered := flags.Bool("numbered", false, "")
	flags.Func("mode", "", func(text string) error {
		n, err := strconv.ParseUint(text, 8, 32)
		if err != nil || n > 0o777 {
			return fmt.Errorf("%q is not a file mode such as 0640", text)
		}
		o.Mode = os.FileMode(n)
		return nil
	})
	flags.Func("sync", "", func(text string) error {
		policy, ok := map[string]rotate.SyncPolicy{
			"rotate": rotate.SyncOnRotate, "interval": rotate.SyncInterval, "always": rotate.SyncAlways, "never": rotate.SyncNever,
		}[text]
		if !ok {
			return fmt.Errorf("%q is not known; rotate, interval, always and never are", text)
		}
		o.Sync = policy
		return nil
	})
	words, err := parseMixed(flags, args[1:], pipeUsage)
	if err != nil {
		return "", o, err
	}
	if len(words) != 1 {
		return "", o, usageError{errors.New("pipe wants one file; see syslogd pipe -h")}
	}
	o.Compress = rotate.Compression(*compress)
	switch {
	case o.Compress != rotate.None && o.Compress != rotate.Gzip && o.Compress != rotate.Zstd:
		return "", o, usageError{fmt.Errorf("compress %q is not known; zstd, gzip and none are", *compress)}
	case o.Keep < 0:
		return "", o, usageError{errors.New("keep is negative; 0 keeps all")}
	case *numbered:
		o.Naming = rotate.Numbered
	}
	return words[0], o, nil
}

// A pump brings what comes in to a file.
//
//  1. run waits for input and for signals, at one place, so that neither is overlooked while the other is handled,
//  2. reads a piece and writes it, and tries again as long as the disk does not take it,
//  3. and after SIGTERM reads what the pipe has by then.
type pump struct {
	to  *rotate.Writer
	log *slog.Logger
	in  int

	signals chan os.Signal
	bell    int       // an eventfd that rings when there are signals
	end     time.Time // after SIGTERM: when to give up
	refused bool      // the disk takes nothing, which was said
}

const (
	// drainTime is for how long what comes after SIGTERM is still taken, and a disk that refuses is tried again.
	drainTime = 10 * time.Second
	retryTime = 100 * time.Millisecond
)

func (p *pump) run() error {
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	p.bell, p.signals = bell, make(chan os.Signal, 16)
	came := make(chan os.Signal, 16)
	signal.Notify(came, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1)
	if _, err := unix.IoctlGetTermios(p.in, unix.TCGETS); err == nil {
		signal.Notify(came, unix.SIGINT) // nobody before us
	} else {
		signal.Ignore(unix.SIGINT)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range came {
			p.signals <- s
			_, _ = unix.Write(bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		}
	}()
	defer func() {
		signal.Stop(came)
		close(came)
		for range len(p.signals) {
			<-p.signals // so that the goroutine ends
		}
		<-done
		unix.Close(bell)
	}()
	return p.pump()
}

func (p *pump) pump() error {
	buf := make([]byte, 256<<10)
	for {
		ready, err := p.wait(-1)
		if err != nil {
			return err
		}
		if !ready {
			if p.end.IsZero() {
				continue
			}
			return nil // the pipe is empty
		}
		n, err := unix.Read(p.in, buf)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("read the standard input: %w", err)
		case n == 0:
			return nil
		}
		if err := p.write(buf[:n]); err != nil {
			return err
		}
		if !p.end.IsZero() && time.Now().After(p.end) {
			return fmt.Errorf("there was still input %s after the signal to end", drainTime)
		}
	}
}

// wait waits for input or a signal, which it handles. After SIGTERM it only looks. -1 is no timeout.
func (p *pump) wait(timeout int) (ready bool, err error) {
	if !p.end.IsZero() {
		timeout = 0
	}
	fds := []unix.PollFd{{Fd: int32(p.in), Events: unix.POLLIN}, {Fd: int32(p.bell), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, timeout)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return false, fmt.Errorf("poll: %w", err)
		}
	}
	p.handle()
	return fds[0].Revents != 0, nil
}

// handle does what the signals want that have come.
func (p *pump) handle() {
	var rung [8]byte
	_, _ = unix.Read(p.bell, rung[:]) // nothing is there when it has not rung
	for {
		select {
		case s := <-p.signals:
			switch s {
			case unix.SIGHUP:
				_, err := p.to.Reopen()
				p.say("reopen", err)
			case unix.SIGUSR1:
				_, err := p.to.Rotate()
				p.say("rotate", err)
			default:
				if p.end.IsZero() {
					p.end = time.Now().Add(drainTime)
				}
			}
		default:
			return
		}
	}
}

func (p *pump) say(what string, err error) {
	if err != nil {
		p.log.Error(what, "err", err)
	}
}

// write writes all of b, however long the disk takes nothing.
func (p *pump) write(b []byte) error {
	for len(b) > 0 {
		n, err := p.to.Write(b)
		b = b[n:]
		if err == nil {
			if p.refused {
				p.log.Info("the disk takes lines again", "path", p.to.Path())
			}
			p.refused = false
			continue
		}
		if !p.refused {
			p.log.Error("the disk takes no lines; the input waits", "path", p.to.Path(), "err", err)
			p.refused = true
		}
		if !p.end.IsZero() && time.Now().After(p.end) {
			return fmt.Errorf("%d lines and what is left in the pipe are lost: %w", bytes.Count(b, []byte("\n"))+1, err)
		}
		fds := []unix.PollFd{{Fd: int32(p.bell), Events: unix.POLLIN}}
		_, _ = unix.Poll(fds, int(retryTime/time.Millisecond))
		p.handle()
		if !p.end.IsZero() {
			time.Sleep(retryTime)
		}
	}
	return nil
}
