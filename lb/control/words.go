package control

// split parts a line into commands at ";" and each into words at blanks. A
// backslash takes the next character literally.
func split(line string) [][]string {
	var (
		all   [][]string
		words []string
		word  []byte
		in    bool // inside a word
	)
	endWord := func() {
		if in {
			words = append(words, string(word))
			word, in = word[:0], false
		}
	}
	for i := 0; i < len(line); i++ {
		switch ch := line[i]; ch {
		case '\\':
			if i+1 < len(line) && line[i+1] != '\n' {
				i++
				word, in = append(word, line[i]), true
			}
		case ' ', '\t', '\r', '\n':
			endWord()
		case ';':
			endWord()
			all = append(all, words)
			words = nil
		default:
			word, in = append(word, ch), true
		}
	}
	endWord()
	// A ";" at the end parts nothing; an empty line still is a command, to
	// which the answer is the list of commands.
	if len(words) > 0 || len(all) == 0 {
		all = append(all, words)
	}
	return all
}
