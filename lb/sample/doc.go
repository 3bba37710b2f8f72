// Package sample is the expressions inside haproxy.cfg: what is fetched of a
// request, a response or a connection, and what converters make of it. They are
// compiled once from the configuration's words and evaluated without allocating.
//
//  1. ParseExpr turns "req.hdr(host),lower" into an Expr: one row of the fetch
//     table (fetch*.go) and rows of the converter table (conv*.go), with their
//     arguments read (args.go). What they use of the rest of the configuration
//     and of the engine is collected in a Uses.
//  2. Expr.Eval gives a Value of the Ctx: the request, the response and the
//     Record of what is known so far (record.go). Values are views; variables
//     (vars.go) are copies. Content that a client may still send leaves a sample
//     undecided (content.go).
//  3. FindMethod and Method.Compile make patterns a Matcher (string set,
//     networks, ranges, regular expressions); Expr.Matches tries one on every
//     occurrence. Map files (map.go) are looked up in by the same methods.
//
// A new fetch, converter or method is one row and its function.
//
// Size: over 25 files, because each family of fetches and of converters is a
// table in a file of its own, and all of them work on the same values.
package sample
