// Package logformat is log-format strings: log lines, and wherever a rule takes
// a text with %[expressions] and %variables.
//
//  1. Parse (for log lines), ParseAt and ParseText turn a string into steps:
//     literals, variables (a row of vars.go) and sample expressions.
//  2. Format.Append renders it for a sample.Ctx without allocating. What would
//     break a log line, or a header, is escaped (escape.go).
//
// A new variable is one row and its function.
package logformat
