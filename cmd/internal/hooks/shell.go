package hooks

import (
	"slices"
	"strings"
)

// commands splits a line of shell into simple commands and their words. It knows quotes, comments, substitutions, which it leaves
// whole within their word, and what ends a command; of redirections the words stay. It is a reader's eye, not a shell.
func commands(text string) [][]string {
	var all [][]string
	var words []string
	var word strings.Builder
	started := false
	endWord := func() {
		if started {
			words = append(words, word.String())
			word.Reset()
			started = false
		}
	}
	end := func() {
		endWord()
		if words = plain(words); len(words) > 0 {
			all = append(all, words)
		}
		words = nil
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text):
			i++
			word.WriteByte(text[i])
			started = true
		case c == '\'' || c == '"':
			n := strings.IndexByte(text[i+1:], c)
			if n < 0 {
				n = len(text) - i - 1
			}
			word.WriteString(text[i+1 : i+1+n])
			started = true
			i += n + 1
		case c == '`' || c == '$' && i+1 < len(text) && text[i+1] == '(':
			n := substitution(text[i:])
			word.WriteString(text[i : i+n])
			started = true
			i += n - 1
		case c == '#' && !started:
			i = len(text)
		case c == '&' && (i > 0 && text[i-1] == '>' || i+1 < len(text) && text[i+1] == '>'):
			word.WriteByte(c)
			started = true
		case strings.IndexByte(";&|(){}\n", c) >= 0:
			end()
		case c == ' ' || c == '\t' || c == '\r':
			endWord()
		default:
			word.WriteByte(c)
			started = true
		}
	}
	end()
	return all
}

// substitution is the length of the `...` or $(...) that text begins with.
func substitution(text string) int {
	if text[0] == '`' {
		if n := strings.IndexByte(text[1:], '`'); n >= 0 {
			return n + 2
		}
		return len(text)
	}
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

// plain takes away what stands before a command without changing what it does.
func plain(words []string) []string {
	prefixes := []string{"if", "then", "else", "elif", "while", "until", "do", "!", "exec", "sudo", "nice", "nohup", "command", "env", "timeout", "flock", "chronic", "ionice", "-n"}
	for len(words) > 0 {
		w := words[0]
		switch {
		case slices.Contains(prefixes, w), assignment.MatchString(w):
		case len(w) > 0 && w[0] >= '0' && w[0] <= '9': // timeout 30
		default:
			return words
		}
		words = words[1:]
	}
	return nil
}
