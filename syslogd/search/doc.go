// Package search finds lines in what the outputs have stored: in the current file of each, in rotated and in compressed ones. It only reads, and
// needs no daemon.
//
//  1. Logs finds the files of the outputs of a configuration (logs.go).
//  2. A scan goes through the files of one log, oldest first, and leaves out what cannot have lines of the time that is asked for (scan.go): of
//     files with an index of times the blocks that it rules out, of other rotated files those that were rotated long before or begun long after,
//     and of large plain files what comes before and after by a binary search (bisect.go).
//  3. Every line that is left is compared with the query: its time, its text, its fields (query.go).
//  4. Run merges the scans of several logs by time (merge.go), and Follow goes on with what is written from then on (follow.go).
package search
