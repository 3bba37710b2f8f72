// Package rotate is an io.WriteCloser for log files that can be rotated, reopened, moved, deleted and filled up under it
// without losing, tearing or repeating a line.
//
// The path of a line:
//
//  1. Write takes whole lines, and first rotates when they would take the file over its size or when its day is over,
//  2. the lines go to the file in one write; what a full disk refuses goes to a bounded ring and is tried again (stall.go),
//  3. a rotation renames the file to a name nobody has (list.go), opens a new one and swaps (rotation.go); a reopen only opens and swaps,
//  4. the old file is synced and closed, and from then on nobody writes to it (file.go),
//  5. the janitor compresses it, keeps what retention says and removes the rest (janitor.go, compress.go, kept.go),
//  6. a Follower reads them again, in order, and holds off the janitor meanwhile (follow.go),
//  7. the keeper looks at the path twice a second and follows when somebody moved, deleted or truncated the file (keeper.go),
//  8. with Options.Chain journals next to the file prove later what was written (chained.go, verify.go),
//  9. a Writer that is opened for the same path, with other options, takes over when this one is closed (succeed.go).
//
// The bytes go through gopkg.in/natefinch/lumberjack.v2, which is handed each file by descriptor, so that nothing but this
// package ever resolves a path, chooses a name or renames. It works on Linux only.
package rotate
