// Man writes the manual pages from the markdown next to it and from the documents in docs/, so that a page and a document never
// say different things:
//
//		go run ./packaging/man -o DIR
//
//	 1. A page is a *.md file here; a line {{FILE#HEADING}} stands for that section of another document (source.go).
//	 2. Its lines become roff, one kind of block at a time (roff.go).
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	out := flag.String("o", ".", "directory to write to")
	root := flag.String("root", ".", "the project's directory")
	date := flag.String("date", time.Now().UTC().Format(time.DateOnly), "the pages' date")
	flag.Parse()
	if err := write(*root, *out, *date); err != nil {
		fmt.Fprintf(os.Stderr, "man: %v\n", err)
		os.Exit(1)
	}
}

// write makes every page.
func write(root, out, date string) error {
	sources, err := filepath.Glob(filepath.Join(root, "packaging/man/*.md"))
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return fmt.Errorf("no pages in %s: is -root the project's directory?", filepath.Join(root, "packaging/man"))
	}
	for _, source := range sources {
		text, err := expand(root, source)
		if err != nil {
			return err
		}
		page, err := render(text, date)
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		name := strings.TrimSuffix(filepath.Base(source), ".md")
		if err := os.WriteFile(filepath.Join(out, name), []byte(page), 0o644); err != nil {
			return err
		}
	}
	return nil
}
