// Package rule is the rule sets of haproxy.cfg: http-request, http-response,
// tcp-request, redirect and stick lines, compiled once from the configuration's
// words and evaluated without allocating.
//
//  1. ParseRule reads one line: a row of the action table (action.go), the
//     action's own words, and a condition (lb/acl). Texts are formats
//     (lb/logformat), single values are expressions (lb/sample).
//  2. Rules.Eval runs the rules of a set against a sample.Ctx: each edits a head,
//     counts, or keeps a value, until one of them answers.
//  3. The Verdict says how the set ended. If a rule answers in the server's
//     place, the Ctx's Reply has the answer.
//
// A new action is one row and its function.
package rule
