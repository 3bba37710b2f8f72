package daemon

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/format"
	"lbsyslogd/syslogd/write"
)

// openSet prepares the files of an output whose messages choose the file. With an error about their base, they are tried again for each.
func openSet(o config.Output, options rotate.Options) (*write.Set, error) {
	t, err := format.ParseTemplate(o.Files.Template)
	if err != nil {
		return nil, err
	}
	limits := write.Limits{Open: o.Files.Open, Names: o.Files.Names, Other: t.OtherName()}
	set := write.NewSet(o.Name, limits, func(file string) (*write.Output, error) {
		if err := makeBeneath(o.Files.Base, filepath.Dir(file)); err != nil {
			return nil, fmt.Errorf("%s/%s: %w", o.Files.Base, file, err)
		}
		w, err := rotate.Open(filepath.Join(o.Files.Base, file), options)
		if err != nil {
			return nil, err
		}
		return write.New(file, w, o.Queue), nil
	})
	// A base that cannot be used is reported now and not with the first message.
	return set, os.MkdirAll(o.Files.Base, 0o755)
}

// makeBeneath makes a directory beneath base. It does not leave base, and it goes through no symbolic link: who planted one wants
// lines somewhere else.
func makeBeneath(base, dir string) error {
	if err := os.MkdirAll(base, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	held, err := root.Open(".")
	if err != nil {
		return err
	}
	defer held.Close()
	fd, err := unix.Openat2(int(held.Fd()), dir, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return fmt.Errorf("open %s beneath %s: %w", dir, base, err)
	}
	return unix.Close(fd)
}
