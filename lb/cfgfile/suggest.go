package cfgfile

// Suggest gives the one of among that word was most likely meant to be, or ""
// if nothing is near: at most a third of the word may differ (at least two
// letters), so that nonsense gets no answer.
func Suggest(word string, among []string) string {
	limit := max(2, len(word)/3)
	if len(word) <= 3 {
		limit = 1
	}
	best, found := limit+1, ""
	for _, candidate := range among {
		if candidate == word { // what is wrong is not its spelling
			continue
		}
		if d := distance(word, candidate, best); d < best {
			best, found = d, candidate
		}
	}
	return found
}

// Distance is how many letters it takes to make b out of a; of long words, the first 64 bytes count.
func Distance(a, b string) int {
	const enough = 64
	a, b = a[:min(len(a), enough)], b[:min(len(b), enough)]
	return distance(a, b, enough+1)
}

// distance counts insertions, deletions, replacements and swaps of neighbours
// that make b out of a (Damerau-Levenshtein, restricted); limit or more is
// given as limit.
func distance(a, b string, limit int) int {
	if abs(len(a)-len(b)) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
