package control

// words parts a command at blanks. A backslash takes the next character
// literally.
func words(text []byte) []string {
	var (
		all  []string
		word []byte
		in   bool // inside a word
	)
	endWord := func() {
		if in {
			all = append(all, string(word))
			word, in = word[:0], false
		}
	}
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; ch {
		case '\\':
			if i+1 < len(text) {
				i++
				word, in = append(word, text[i]), true
			}
		case ' ', '\t', '\r':
			endWord()
		default:
			word, in = append(word, ch), true
		}
	}
	endWord()
	return all
}
