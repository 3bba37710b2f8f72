// Package config turns haproxy.cfg into the typed model that lb runs.
//
//	files -> cfgfile.Reader            words with their places
//	  -> Load: sections                load.go, draft.go    defaults are copied into proxies
//	     -> index.find -> row.run      keyword.go           one row per keyword: supported, ignored, translated, refused
//	        -> row.apply               global.go, proxy.go, option.go, bind.go, server.go, ...
//	  -> finish                        finish.go            what only the whole text can tell: names, modes, addresses
//	  -> *Config                       model.go             immutable
//
// To add a keyword, add a row to the table of its kind and the function that
// applies it; docs/haproxy-compat.md is generated from the same rows. Nothing
// is accepted silently: a keyword without effect has a reason that is printed,
// and what lb cannot do is refused with the way out.
//
// Size: one file for each part of the manual. They share the parser's state and
// the form of the tables' rows, and nothing outside sees more than Load and the
// model: parting them would only export what is private now.
package config

//go:generate go run ./internal/gendoc -o ../../docs/haproxy-compat.md
