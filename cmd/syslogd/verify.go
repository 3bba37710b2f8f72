package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lbsyslogd/cmd/internal/console"
	"lbsyslogd/rotate"
	"lbsyslogd/rotate/chain"
	"lbsyslogd/syslogd/config"
)

const verifyUsage = `syslogd verify compares the files of outputs that have "chain: yes" with their journals. It names the first line of each file that was changed,
removed or inserted, and files that are missing, swapped or renamed. It needs no daemon, and one may write meanwhile.

  syslogd verify [OPTION]... [PATH]...

  --output NAME        of one output; else of all that have a chain
  --pub FILE           there must be a good signature of this ed25519 key (PEM)
  --signatures FILE    which are in this file, else in PATH.chain/signatures
  --json               the report as JSON
  -f FILE              the daemon's configuration; with PATH, a log of rotate or of syslogd pipe, none is read

syslogd sign --key FILE [--output NAME] [-f FILE] [PATH]... signs how far the chains have come with a key that is kept elsewhere ("openssl
genpkey -algorithm ed25519" makes one, "openssl pkey -pubout" its public key), adds the signatures to PATH.chain/signatures and prints them.

syslogd verify --kafka [-f FILE] [--output NAME] [--timeout 10m] reads back what was sent to Kafka.

Exit status: 0 all is as it was written, 1 something is not or cannot be read, 2 wrong usage.
`

// verify compares logs with their journals, or with what has come elsewhere.
func verify(args []string, out io.Writer, errs *console.Writer) error {
	if slices.Contains(args, "--kafka") || slices.Contains(args, "-kafka") {
		return verifySent(args, out, errs)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	output, file := flags.String("output", "", ""), configFlag(flags)
	pub, signatures := flags.String("pub", "", ""), flags.String("signatures", "", "")
	asJSON := flags.Bool("json", false, "")
	words, err := parseMixed(flags, args[1:], verifyUsage)
	if err != nil {
		return err
	}
	if *signatures != "" && *pub == "" {
		return usageError{errors.New("--signatures needs --pub, whose they are")}
	}
	paths, err := chainedLogs(words, *file, *output)
	if err != nil {
		return err
	}
	v := verification{signatures: *signatures}
	if *pub != "" {
		if _, v.key, err = chain.ReadKey(*pub); err != nil {
			return err
		}
	}
	failed := false
	for _, path := range paths {
		r, err := v.verify(path)
		if err != nil {
			return fmt.Errorf("syslogd verify: %s: %w", path, err)
		}
		failed = failed || len(r.Findings) > 0
		if *asJSON {
			e := json.NewEncoder(out)
			e.SetEscapeHTML(false)
			if err := e.Encode(r); err != nil {
				return err
			}
			continue
		}
		r.print(out)
	}
	if failed {
		return errNothing
	}
	return nil
}

// configFlag is -f, which cat and grep call --config.
func configFlag(flags *flag.FlagSet) *string {
	file := flags.String("f", "", "")
	flags.StringVar(file, "config", "", "")
	return file
}

// chainedLogs is the logs that are to be verified or signed.
func chainedLogs(words []string, file, output string) ([]string, error) {
	if len(words) > 0 {
		if output != "" {
			return nil, usageError{errors.New("a path and --output exclude each other")}
		}
		return words, nil
	}
	cfg, _, err := load(file)
	if err != nil {
		return nil, err
	}
	var paths, known []string
	var found *config.Output
	for i, o := range cfg.Outputs {
		known = append(known, o.Name)
		if o.Name == output {
			found = &cfg.Outputs[i]
		}
		if o.Rotate.Chain && (output == "" || o.Name == output) {
			paths = append(paths, o.Path)
		}
	}
	switch {
	case output != "" && found == nil:
		return nil, fmt.Errorf("there is no output %q; %s are", output, strings.Join(known, ", "))
	case len(paths) == 0:
		return nil, errors.New("there is no chain: add \"chain: yes\" to an output")
	}
	return paths, nil
}

// A verification is how logs are verified.
type verification struct {
	key        []byte
	signatures string
}

// verified is what was found about a log.
type verified struct {
	Log        string          `json:"log"`
	Findings   []chain.Finding `json:"findings"`
	Notes      []chain.Finding `json:"notes"`
	Files      int64           `json:"files"`
	Lines      int64           `json:"lines"`
	Bytes      int64           `json:"bytes"`
	Head       string          `json:"head"`
	Signatures int             `json:"signatures"`
	SignedTo   *time.Time      `json:"signed_to,omitempty"`

	dir string
}

func (v verification) verify(path string) (*verified, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	report, journal, err := rotate.Verify(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there are no journals: %w", err)
	}
	if err != nil {
		return nil, err
	}
	r := &verified{Log: path, dir: filepath.Dir(path), Files: report.Files, Lines: report.Lines, Bytes: report.Bytes, Head: report.Head.String()}
	if v.key != nil {
		name := cmp.Or(v.signatures, rotate.SignatureFile(path))
		text, err := os.ReadFile(name)
		if err != nil && (v.signatures != "" || !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
		place, err := filepath.Abs(name)
		if err != nil {
			return nil, err
		}
		signed := report.VerifySignatures(v.key, filepath.Base(path), journal, text, place)
		r.Signatures = signed.Signatures
		if signed.Signatures > 0 {
			r.SignedTo = &signed.Last.Time
		}
	}
	r.Findings, r.Notes = report.Findings, report.Notes
	return r, nil
}

func (r *verified) print(out io.Writer) {
	place := func(f chain.Finding) string {
		if text := f.String(); filepath.IsAbs(text) { // of signatures, which may be elsewhere
			return text
		}
		return filepath.Join(r.dir, f.String())
	}
	for _, f := range r.Findings {
		fmt.Fprintln(out, place(f))
	}
	for _, f := range r.Notes {
		fmt.Fprintln(out, "note:", place(f))
	}
	what := "nothing was changed"
	if len(r.Findings) > 0 {
		what = fmt.Sprintf("%d findings", len(r.Findings))
	}
	fmt.Fprintf(out, "%s: %s; %d lines in %d files are as they were written; head %s\n", r.Log, what, r.Lines, r.Files, r.Head)
	if r.SignedTo != nil {
		fmt.Fprintf(out, "%s: %d good signatures; what was written before %s is signed\n", r.Log, r.Signatures, r.SignedTo.Format(time.RFC3339))
	}
}

// sign signs how far chains have come.
func sign(args []string, out io.Writer, _ *console.Writer) error {
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	output, file, keyFile := flags.String("output", "", ""), configFlag(flags), flags.String("key", "", "")
	words, err := parseMixed(flags, args[1:], verifyUsage)
	if err != nil {
		return err
	}
	if *keyFile == "" {
		return usageError{errors.New("sign wants --key FILE; see syslogd sign -h")}
	}
	key, _, err := chain.ReadKey(*keyFile)
	if err != nil {
		return err
	}
	if key == nil {
		return fmt.Errorf("%s is a public key; signing takes the private one", *keyFile)
	}
	paths, err := chainedLogs(words, *file, *output)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if path, err = filepath.Abs(path); err != nil {
			return err
		}
		journal, err := chain.Read(rotate.Chain(path))
		if err != nil {
			return fmt.Errorf("syslogd sign: %w", err)
		}
		s, err := chain.Sign(key, filepath.Base(path), journal, time.Now())
		if err != nil {
			return fmt.Errorf("syslogd sign: %s: %w", path, err)
		}
		line, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if err := rotate.AppendSignature(path, line); err != nil {
			return fmt.Errorf("syslogd sign: %w", err)
		}
		fmt.Fprintf(out, "%s\n", line)
	}
	return nil
}
