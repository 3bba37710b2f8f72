package rotate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"lbsyslogd/rotate/archive"
)

// Compression says how rotated files are stored.
type Compression string

// The forms of storage. The zero value is None too.
const (
	None Compression = "none"
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
)

// suffix is what a compressed file's name ends with, empty for None.
func (c Compression) suffix() string {
	switch c {
	case Gzip:
		return ".gz"
	case Zstd:
		return ".zst"
	}
	return ""
}

// SyncPolicy says when the file is forced to the disk. Flush always does that.
type SyncPolicy uint8

const (
	// SyncOnRotate leaves the current file to the kernel, which writes it back within about 30 seconds. A rotation, a reopen and Close
	// wait until the file that they leave is on the disk.
	SyncOnRotate SyncPolicy = iota
	// SyncInterval also syncs about once a second while lines arrive.
	SyncInterval
	// SyncAlways also syncs after each Write: a line that Write returned for survives a power cut.
	SyncAlways
	// SyncNever leaves rotated files to the kernel too. A crash of the machine may cost the newest half minute of either.
	SyncNever
)

// Options say how a file is kept. The zero value appends to one file for ever.
type Options struct {
	Size     int64    // rotate before a write would take the file over so many bytes; 0: not by size
	Schedule Schedule // rotate at these times; nil: not by time. An empty file is left alone
	Naming   Naming   // what rotated files are called

	Keep     int           // how many rotated files stay; 0: any number
	MaxAge   time.Duration // how old a rotated file gets, counted from its rotation; 0: any age
	MaxTotal int64         // how many bytes the rotated files take together; 0: any number
	MinFree  int64         // how many bytes of the file system stay free, as long as there are rotated files to remove; 0: any

	// Hold is how many bytes of rotated files are neither compressed nor removed before a Follower has released them; 0: there is
	// no Follower.
	Hold int64

	Compress      Compression   // how rotated files are stored
	CompressAfter time.Duration // how long a rotated file stays plain, for those who follow it
	// Compressor writes src to dst in the given form; nil does it in a goroutine of this process. A daemon that must not
	// spend its own time passes one that starts a process of low priority.
	Compressor func(ctx context.Context, dst, src *os.File, form Compression) error
	// Times makes, for a file whose last line was written at last, what reads the time of one of its lines. With it files that are compressed with
	// zstd get an index of times, by which rotate/archive finds the lines of a minute without reading the others. nil: they get none. A Compressor
	// that is not CompressIndexed has to see to it itself.
	Times func(last time.Time) archive.Clock

	Mode  os.FileMode // permissions of a new file; 0: 0640
	Owner *Owner      // owner of a new file; nil: the process's

	// Ring is how many bytes are kept in memory while the disk takes none; 0: 16 MiB. Memory is only used when needed.
	// A negative number switches the ring off: then Write returns the error.
	Ring int
	// Memory bounds the rings of all Writers that have it, together: beyond it each has 256 KiB. nil: no bound.
	Memory *Memory
	// LossLine writes the line that takes the place of lines the ring had to drop; nil: DefaultLossLine.
	LossLine func(dst []byte, loss Loss) []byte

	// Base is a directory beneath which no symbolic link is followed, whoever made it; empty: one is where only root or this process's user can
	// have made it.
	Base string
	// Late opens a Writer even when its file cannot be opened: lines wait in the ring, and the file is opened when it can be.
	Late bool

	// Chain keeps journals of what is written, in PATH.chain, by which Verify finds the first line that was changed, removed or inserted later, and
	// files that are missing, swapped or renamed.
	Chain bool

	Sync SyncPolicy
	Log  *slog.Logger     // where changes of state are reported, once each; nil: nowhere
	Now  func() time.Time // the clock; nil: time.Now. Its zone is the schedule's

	// step is called before each step of a rotation and a compression, so that a test can end the process there.
	step func(name string)
}

// Owner is a user and a group by number; -1 leaves either as it is.
type Owner struct{ UID, GID int }

const (
	defaultMode = 0o640
	defaultRing = 16 << 20
)

// filled is o with its zero values replaced by what they mean.
func (o Options) filled() Options {
	if o.Mode == 0 {
		o.Mode = defaultMode
	}
	if o.Ring == 0 {
		o.Ring = defaultRing
	}
	if o.Naming == "" {
		o.Naming = Dated
	}
	if o.Compress == "" {
		o.Compress = None
	}
	if o.Compressor == nil {
		o.Compressor = CompressIndexed(o.Times)
	}
	if o.LossLine == nil {
		o.LossLine = DefaultLossLine
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.step == nil {
		o.step = func(string) {}
	}
	return o
}

// check refuses what means nothing.
func (o Options) check() error {
	switch {
	case o.Naming != Dated && o.Naming != Numbered:
		return fmt.Errorf("%q is not a naming; dated and numbered are", o.Naming)
	case o.Compress != None && o.Compress.suffix() == "":
		return fmt.Errorf("%q is not a compression; none, gzip and zstd are", o.Compress)
	case min(o.Size, int64(o.Keep), int64(o.MaxAge), o.MaxTotal, o.MinFree, o.Hold, int64(o.CompressAfter)) < 0:
		return errors.New("a limit of a log file is negative; 0 is none")
	}
	return nil
}
