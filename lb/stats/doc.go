// Package stats holds what the balancer tells about itself, and renders it the
// way HAProxy 2.6 does, so that dashboards, exporters and scripts written for
// it go on working.
//
//  1. The loops count: Counters, Rate and Average, each owned by one loop.
//  2. The engine adds them up into a Snapshot: one Info and one Row per
//     frontend, listener, server and backend.
//  3. A Filter picks rows (show stat <iid> <type> <sid>).
//  4. AppendCSV, AppendTyped, AppendJSON, AppendHTML and AppendPrometheus
//     write the snapshot at the end of the caller's slice.
//
// What a column is called, which kinds of rows fill it and what it means is
// said once, in the table of column.go; Info's in info.go.
package stats
