// Package chain proves that the files of a log hold what was written to them: it finds the first line that was changed, removed or inserted, and files
// that are missing, swapped or renamed.
//
//  1. A Group takes the lines that go to a file, and makes a record of some of them: their SHA-256, and a mark of 12 bits for each line (group.go).
//  2. Each record ends in a hash of itself and of the record before, through all files of the log (record.go). The records of a file are a journal of
//     their own, FILE.chain/00000001 and so on: rotate.Writer writes them.
//  3. Sign notes how far the chain has come, signed with a key that is kept elsewhere (sign.go).
//  4. Read reads the journals (journal.go), and Verify compares them with the files (verify.go).
//
// The hashes decide whether something was changed; the marks only find the line. Who can write to the directory can also write journals that fit
// changed files; that is what signatures, or a head that was noted somewhere else, are for.
package chain
