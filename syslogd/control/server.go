package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/seldom"
	"lbsyslogd/syslogd/unixpath"
)

// Server answers on the control socket. Immutable after Listen but for its reports.
type Server struct {
	commands map[string]Command
	log      *slog.Logger
	listener *net.UnixListener
	path     string
	id       unixpath.ID // of the socket
	group    uint32      // of the socket: its members may give commands

	failures, refusals seldom.Report
}

// commandTime bounds a command, so that a client that never reads cannot hold a connection for ever.
const commandTime = 2 * time.Minute

// lastAnswerTimeout is how long an answer may take when all is to end.
const lastAnswerTimeout = time.Second

// Free says whether another process listens on the socket at path, as a second daemon by mistake would find, before that touches anything.
func Free(path string) error {
	if err := unixpath.RemoveDead(path); err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// Listen opens the socket at path with the given mode, in the place of one that nobody listens on any more.
func Listen(path string, mode os.FileMode, commands map[string]Command, log *slog.Logger) (*Server, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := Free(path); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // by then another may be at the path
	s := &Server{commands: commands, log: log, listener: l, path: path}
	s.failures.Say = func(n int, why error) {
		log.Error("the control socket does not take connections", "number", n, "err", why)
	}
	s.refusals.Say = func(n int, why error) { log.Warn("commands refused", "number", n, "the_last", why) }
	if s.id, s.group, err = unixpath.Own(path, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), l.Close())
	}
	return s, nil
}

// Serve answers until ctx is done, and returns when the commands under way have ended.
func (s *Server) Serve(ctx context.Context) {
	var clients sync.WaitGroup
	defer s.failures.Stop()
	defer s.refusals.Stop()
	defer clients.Wait()
	defer context.AfterFunc(ctx, func() { s.Close() })()
	defer s.Close() // ctx says that it is done a moment before it calls the function, and may then not call it any more
	for {
		conn, err := s.listener.AcceptUnix()
		if ctx.Err() != nil {
			if conn != nil {
				conn.Close() // came just now
			}
			return
		}
		if err != nil {
			s.failures.Note(err)
			select { // EMFILE and the like pass; a loop at full speed would not help
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		clients.Go(func() { s.client(ctx, conn) })
	}
}

// Astray says whether somebody has removed the socket's path: no command finds it then.
func (s *Server) Astray() bool { return unixpath.Astray(s.path, s.id) }

// Close closes the socket. Serve does so at its end.
func (s *Server) Close() error {
	return errors.Join(unixpath.Remove(s.path, s.id), s.listener.Close())
}

func (s *Server) client(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(commandTime))
	defer context.AfterFunc(ctx, func() { // one that says nothing, or does not listen, holds up no stop
		conn.SetReadDeadline(time.Now())
		conn.SetWriteDeadline(time.Now().Add(lastAnswerTimeout))
	})()
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	out := bufio.NewWriter(conn)
	if err := s.carryOut(ctx, conn, out); err != nil {
		// One line is the whole error: a newline in it would read as something else.
		fmt.Fprintf(out, "%s%s\n", lineError, strings.ReplaceAll(err.Error(), "\n", "; "))
	} else {
		fmt.Fprintln(out, lineOK)
	}
	if err := out.Flush(); err != nil {
		s.log.Debug("answer a command", "err", err)
	}
}

func (s *Server) carryOut(ctx context.Context, conn *net.UnixConn, out io.Writer) error {
	if err := s.allowed(conn); err != nil {
		s.refusals.Note(err)
		return err
	}
	line, err := bufio.NewReader(io.LimitReader(conn, maxLine)).ReadString('\n')
	if err != nil {
		return fmt.Errorf("want a command, a line of at most %d bytes", maxLine)
	}
	words := strings.Fields(line)
	if len(words) == 0 {
		return errors.New("want a command")
	}
	command, ok := s.commands[words[0]]
	if !ok {
		names := make([]string, 0, len(s.commands))
		for name := range s.commands {
			names = append(names, name)
		}
		slices.Sort(names)
		return fmt.Errorf("%q is not a command; %s are", words[0], strings.Join(names, ", "))
	}
	return command(ctx, words[1:], out)
}

// allowed asks the kernel who connected. The socket's mode has decided already; this holds too where somebody opened the mode,
// or passed a connected descriptor on.
func (s *Server) allowed(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var groups []uint32
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		groups = peerGroups(int(fd))
	}); err != nil {
		return err
	}
	if credErr != nil {
		return fmt.Errorf("the credentials of the client: %w", credErr)
	}
	if cred.Uid == 0 || cred.Uid == uint32(os.Geteuid()) || cred.Gid == s.group || slices.Contains(groups, s.group) {
		return nil
	}
	return fmt.Errorf("user %d may not give commands: neither root nor in group %d", cred.Uid, s.group)
}

// peerGroups is the supplementary groups of who connected, none when the kernel does not say.
func peerGroups(fd int) []uint32 {
	groups := make([]uint32, 1024)
	size := uint32(len(groups) * 4)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
		uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return nil
	}
	return groups[:size/4]
}
