// Package control is how commands reach the running daemon, and how their answers come back.
//
// One connection is one command, a line of words. The answer is any number of lines, and at last "ok" or "error: " and the reason.
// It comes when the command has been carried out and not before: that is what makes it safe for logrotate to compress a file
// after "reopen" said ok.
package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

const (
	lineOK    = "ok"
	lineError = "error: "
	maxLine   = 4096 // of a command
)

// A Command carries out one command and writes what it has to say to reply.
type Command func(ctx context.Context, args []string, reply io.Writer) error

// Ask sends a command to the socket at path and copies the answer to out. The error is the daemon's own, or says that the daemon
// could not be reached.
func Ask(ctx context.Context, path string, words []string, out io.Writer) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("syslogd does not answer on %s: %w; is it running, and may you use its socket?", path, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	// A client that is refused has the answer before its question is read, or even written: an error of writing it counts only without an answer.
	_, askErr := io.WriteString(conn, strings.Join(words, " ")+"\n")
	answer := bufio.NewReader(conn)
	for {
		line, err := answer.ReadString('\n')
		if ctx.Err() != nil {
			return fmt.Errorf("syslogd on %s did not finish %q in time", path, words[0])
		}
		if err != nil && askErr != nil {
			return fmt.Errorf("ask syslogd on %s: %w", path, askErr)
		}
		if err != nil {
			return fmt.Errorf("syslogd on %s broke off its answer to %q: %w", path, words[0], err)
		}
		switch text := strings.TrimSuffix(line, "\n"); {
		case text == lineOK:
			return nil
		case strings.HasPrefix(text, lineError):
			return errors.New(strings.TrimPrefix(text, lineError))
		default:
			if _, err := io.WriteString(out, line); err != nil {
				return err
			}
		}
	}
}
