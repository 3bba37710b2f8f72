// Package cfgfile reads the text of haproxy.cfg files: it finds the files,
// cuts lines into words with their places, and is the one place that formats
// configuration errors.
//
//	files, directories -> Source       source.go   names and bytes
//	  -> Reader.Next                   reader.go   one line at a time, .if/.else/.endif applied
//	     -> Split                      words.go    quotes, escapes, variables
//	     -> Env.Eval                   cond.go     conditions of .if and -cc
//	  -> Line: Words with columns      to lb/config, which knows what they mean
//	  -> Report: errors and notes      report.go, format.go
//
// The language is HAProxy's (configuration manual, chapter 2). Lines are read
// one at a time because a line may set a variable that the next one uses.
package cfgfile
