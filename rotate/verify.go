package rotate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"lbsyslogd/rotate/chain"
)

// verifyTries is how often files are compared again because somebody has rotated them meanwhile.
const verifyTries = 5

// Verify compares the files of the log at path with the journals of Options.Chain. It needs no Writer, and one of another process may write
// meanwhile. Without journals the error is fs.ErrNotExist.
func Verify(path string) (report *chain.Report, journal []*chain.Segment, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, nil, err
	}
	for range verifyTries {
		if journal, err = chain.Read(path + chainSuffix); err != nil {
			return nil, nil, err
		}
		if report, err = verifyOnce(path, journal); err != nil {
			return nil, nil, err
		}
		if len(report.Findings) == 0 {
			break
		}
		again, err := chain.Read(path + chainSuffix)
		if err != nil {
			return nil, nil, err
		}
		if sameJournals(journal, again) {
			break
		}
	}
	return report, journal, nil
}

// sameJournals says whether no file was begun, ended or removed since; that lines were added makes no finding.
func sameJournals(a, b []*chain.Segment) bool {
	return slices.EqualFunc(a, b, func(a, b *chain.Segment) bool {
		_, over := a.End()
		_, later := b.End()
		return a.Number == b.Number && over == later
	})
}

func verifyOnce(path string, journal []*chain.Segment) (*chain.Report, error) {
	stored, err := OpenStored(path)
	if err != nil {
		return nil, err
	}
	defer CloseStored(stored)
	series := seriesOf(path)
	var files []chain.File
	for _, s := range stored {
		f := chain.File{Name: s.Name, Bare: s.Bare(), Open: s.Content}
		if !s.Current() {
			f.Rotated = s.Rotated.UnixNano()
			b, _ := series.parse(s.Name)
			f.Numbered = b.number > 0
		}
		files = append(files, f)
	}
	return chain.Verify(journal, files)
}

// Bare is the name without what compression has added to it.
func (s Stored) Bare() string { return s.Name[:len(s.Name)-len(s.Form.suffix())] }

// Content reads what was written to the file, decompressed, from its beginning.
func (s Stored) Content() (io.ReadCloser, error) {
	section := io.NewSectionReader(s.File, 0, 1<<62)
	if s.Form == None {
		return io.NopCloser(section), nil
	}
	r, err := decompressor(section, s.Form)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return r, nil
}

// Chain is the directory of the journals of the log at path.
func Chain(path string) string { return path + chainSuffix }

// signatureFile is in the directory of the journals.
const signatureFile = "signatures"

// SignatureFile is where the signatures of the chain of the log at path are.
func SignatureFile(path string) string { return filepath.Join(Chain(path), signatureFile) }

// AppendSignature adds a line to the signatures of the log at path.
func AppendSignature(path string, line []byte) (err error) {
	in, err := openFolder(Chain(path), "", false)
	if err != nil {
		return err
	}
	defer in.close()
	f, err := in.open(signatureFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}
