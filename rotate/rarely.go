package rotate

import "time"

// rarely keeps the log from hearing the same again and again: what others do to a file, or a disk that works now and then, may come with every
// line. Stats count all of it. The zero value is ready. Owned by the Writer, under its mu.
type rarely map[string]time.Time

// pause is for how long the same is not logged again.
const pause = time.Minute

// may says whether to log about a subject now.
func (r *rarely) may(subject string, now time.Time) bool {
	if last, ok := (*r)[subject]; ok && now.Sub(last) < pause && !now.Before(last) {
		return false
	}
	if *r == nil {
		*r = make(rarely)
	}
	(*r)[subject] = now
	return true
}
