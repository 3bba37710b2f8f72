// Package acl is the conditions inside haproxy.cfg: named ACLs and what stands
// after "if" and "unless".
//
//  1. ACLs.Define reads an acl line: an expression, flags, patterns. They become
//     a sample.Matcher, which follows its files when they change.
//  2. ParseCond reads ACL names and { tests } with "!" and "or".
//  3. Cond.Eval tells whether it holds now.
package acl
