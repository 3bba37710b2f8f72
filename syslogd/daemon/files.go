package daemon

import (
	"os"
	"path/filepath"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/format"
	"lbsyslogd/syslogd/write"
)

// openSet prepares the files of an output whose messages choose the file. With an error about their base, they are tried again for each.
func openSet(o config.Output, options rotate.Options, memory *rotate.Memory, watched func(*write.Output) *write.Output) (*write.Set, error) {
	t, err := format.ParseTemplate(o.Files.Template)
	if err != nil {
		return nil, err
	}
	limits := write.Limits{Open: o.Files.Open, Names: o.Files.Names, Other: t.OtherName()}
	options.Base = o.Files.Base // who plants a symbolic link there wants lines somewhere else
	set := write.NewSet(o.Name, limits, func(file string) (*write.Output, error) {
		w, err := rotate.Open(filepath.Join(o.Files.Base, file), options)
		if err != nil {
			return nil, err
		}
		return watched(write.New(file, w, o.Queue, memory)), nil
	})
	set.Failed = func(file string, err error) {
		options.Log.Error("a file cannot be opened; its lines are lost", "path", filepath.Join(o.Files.Base, file), "err", err)
	}
	// A base that cannot be used is reported now and not with the first message.
	return set, os.MkdirAll(o.Files.Base, 0o755)
}
