// Package archive stores a log file as seekable zstd with an index of times, so that the lines of one minute are found without reading the rest.
//
//  1. Write cuts the file into blocks of whole lines and makes each a zstd frame of its own (write.go),
//  2. notes for each block in which spans of time its lines were written (span.go),
//  3. and puts two skippable frames after them: the index of times, and the seek table of the zstd seekable format.
//  4. Open reads both, and Read decompresses one block (read.go).
//
// Every zstd program reads such a file: zstd -d, zstdcat and zstdgrep skip what they do not know.
package archive
