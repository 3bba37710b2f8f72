// Package stick holds stick tables: what is remembered of a client, or of
// whatever a rule takes for a key, from one request to the next. Rate limits
// count in them, `stick on` finds a client's server in them.
//
//  1. A Spec says what a table holds; New makes the Table (spec.go, table.go).
//  2. A rule makes a key of its sample (Spec.Key) and tracks the entry under
//     it, which counts a connection and gives a Ref (ref.go). A Ref holds its
//     entry until Release.
//  3. What the connection or request does is counted through its Refs; rules
//     and log formats read the counters back. Rates are HAProxy's two-period
//     counters (freq.go).
//  4. An entry that nobody holds goes when it was not touched for `expire`, or
//     when room is needed and it is the one not touched for the longest time
//     (table.go).
//  5. The stats socket lists, sets and removes entries (show.go).
//  6. At a reload the former worker tells the next one all entries, and then
//     what has changed, as long as it has connections (changes.go); the next one
//     adds that to its own (load.go).
//  7. A table of a cluster keeps each other node's share, and what is read is the sum
//     (shares.go).
//
// All loops of a worker share a table. One short critical section per call is
// its only synchronisation; long walks give the lock away every few hundred
// entries. Time is given by the caller, in milliseconds of the clock that all
// processes of a machine share (Now), so that it means the same after a
// reload.
//
// Memory: an entry takes 40 bytes, its key (4 bytes for an address), 8 bytes
// for a count and 16 for a rate. Its place in the index takes 4 to 8 bytes
// more. Memory is taken as entries come, 1024 at a time, and holds no
// pointers, so the garbage collector does not look at it.
package stick
