package sample

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// readArgs reads a fetch's or converter's arguments by their signature, one
// letter each: s a string, i an integer, n a variable's name, o an integer or a
// variable's name, b bytes in base64 or a variable's name, t a stick table's
// name, u a userlist's, g a proxy's, v a server's. "?" after a letter makes it
// optional.
func readArgs(signature string, list []string) (args, error) {
	var a args
	if len(list) == 1 && list[0] == "" && !requiredString(signature) {
		list = nil // path() is path, while str() is the empty string
	}
	a.len = len(list)
	refs, i := 0, 0
	for p := 0; p < len(signature); p++ {
		kind := signature[p]
		optional := p+1 < len(signature) && signature[p+1] == '?'
		if optional {
			p++
		}
		if i >= len(list) {
			if optional {
				break
			}
			return a, fmt.Errorf("missing arguments (got %d)", len(list))
		}
		word := list[i]
		switch kind {
		case 's':
			a.s[i] = word
		case 'i':
			n, err := strconv.ParseInt(word, 10, 64)
			if err != nil && !(optional && word == "") {
				return a, fmt.Errorf("'%s' is not an integer", word)
			}
			a.n[i] = n
		case 't':
			if word == "" && !optional {
				return a, fmt.Errorf("missing a stick table's name")
			}
			if word != "" {
				a.table = &TableRef{Name: word}
			}
		case 'g', 'v':
			g, err := gaugeOf(word, kind == 'v')
			if err != nil {
				return a, err
			}
			a.gauge = g
		case 'u':
			if word == "" {
				return a, fmt.Errorf("missing a userlist's name")
			}
			a.users = &UserRef{Name: word}
		case 'n':
			if word != "" || !optional {
				if err := CheckVar(word); err != nil {
					return a, err
				}
			}
			a.s[i] = word
		case 'b':
			if a.s[i] = word; CheckVar(word) != nil {
				b, err := base64.StdEncoding.DecodeString(word)
				if err != nil {
					return a, fmt.Errorf("'%s' is neither base64 nor a variable", word)
				}
				a.s[i], a.bin[i] = "", append([]byte{}, b...)
			}
		case 'o':
			n, err := strconv.ParseInt(word, 10, 64)
			if err != nil {
				if err := CheckVar(word); err != nil {
					return a, fmt.Errorf("'%s' is neither an integer nor a variable: %w", word, err)
				}
				a.ref[refs].name = word
			}
			a.ref[refs].n = n
			refs++
		}
		i++
	}
	if i < len(list) {
		return a, fmt.Errorf("too many arguments: '%s'", strings.Join(list[i:], ","))
	}
	return a, nil
}

func requiredString(signature string) bool {
	return strings.HasPrefix(signature, "s") && !strings.HasPrefix(signature, "s?")
}
