// Package rule is the language inside haproxy.cfg: sample fetches, converters,
// ACLs, conditions, log formats and http-request actions. All of it is compiled
// once from the configuration's words and evaluated without allocating.
//
//  1. parseExpr turns "req.hdr(host),lower" into an expr: one row of the fetch
//     table and rows of the converter table, with their arguments read.
//  2. ACLs.Define and ParseCond put expressions in front of a matcher (string
//     set, networks, ranges, regular expressions) and conditions over those.
//  3. ParseFormat turns a log-format string into literals, variables (one table
//     row each) and expressions; Format.Append renders it.
//  4. ParseRule reads one http-request, http-response or redirect line: a row of
//     the action table plus a condition.
//  5. Rules.Eval runs them against a Ctx, edits its heads and gives a Verdict.
//
// A new fetch, converter, variable or action is one row and its function.
package rule
