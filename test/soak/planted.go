package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lbsyslogd/test/soak/bugs"
)

// findBugs builds each planted bug and soaks it until it is found. It prints the table of docs/proof.md, and fails if one was not found.
func (opt options) findBugs(ctx context.Context) error {
	list, err := bugs.Read(opt.bugs)
	if err != nil {
		return err
	}
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	// First without a bug: what is found then is no bug's.
	if sum, err := opt.findBug(ctx, root, bugs.Bug{}); err != nil {
		return fmt.Errorf("without any bug: %w\n%s", err, sum)
	}
	var table strings.Builder
	missed := 0
	for _, b := range list {
		if opt.only != "" && !opt.named(b.Name) {
			continue
		}
		fmt.Printf("== %s\n", b.Name)
		sum, err := opt.findBug(ctx, root, b)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case sum.differences > 0:
			fmt.Fprintf(&table, "| %s | %s | %d | %s |\n", b.Name, strings.Join(strings.Fields(b.About), " "), sum.until, first(sum.what))
		case sum.broken:
			fmt.Fprintf(&table, "| %s | %s | %d | %s |\n", b.Name, strings.Join(strings.Fields(b.About), " "), sum.until, first(err.Error()))
		case err != nil:
			return fmt.Errorf("%s: %w", b.Name, err)
		default:
			missed++
			fmt.Fprintf(&table, "| %s | %s | not in %d | |\n", b.Name, strings.Join(strings.Fields(b.About), " "), sum.until)
		}
	}
	fmt.Printf("\n| bug | what it breaks | found after requests | first difference |\n|---|---|---|---|\n%s", &table)
	if missed > 0 {
		return fmt.Errorf("%d planted bugs were not found", missed)
	}
	return nil
}

// named reports whether -only names a bug.
func (opt options) named(name string) bool {
	for word := range strings.SplitSeq(opt.only, ",") {
		if word == name {
			return true
		}
	}
	return false
}

// first is a difference's first sentence.
func first(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	text, _, _ = strings.Cut(text, ". Client:")
	return strings.ReplaceAll(text, "|", "/")
}

// findBug soaks one planted bug.
func (opt options) findBug(ctx context.Context, root string, b bugs.Bug) (summary, error) {
	dir, err := os.MkdirTemp("", "soak-bug-")
	if err != nil {
		return summary{}, err
	}
	defer os.RemoveAll(dir)
	overlay, err := b.Overlay(root, dir)
	if err != nil {
		return summary{}, err
	}
	if opt.programs, err = (builder{overlay: overlay}).build(dir); err != nil {
		return summary{}, err
	}
	opt.other = opt.programs.LB
	opt.only, opt.shrinking, opt.keep = "", 0, dir
	return opt.soak(ctx)
}
