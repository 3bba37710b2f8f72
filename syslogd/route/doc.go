// Package route decides which outputs a message goes to, and makes the lines.
//
//  1. Compile turns rules into a Table: for each of the 192 priorities the rules that want it (selector.go, table.go),
//  2. a Stage, one for each reader, finds the parts of each message, asks the Table, and appends the line to what it has gathered
//     for each output (stage.go),
//  3. at the end of a batch it gives what it gathered to the outputs, or has them write it and waits for that (deliver.go).
//
// A Table never changes. A new configuration is a new Table, which every Stage takes up with its next batch.
package route
