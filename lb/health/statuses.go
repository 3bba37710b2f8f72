package health

import (
	"fmt"
	"strconv"
	"strings"
)

// Statuses is a set of HTTP status codes. The zero value is empty.
type Statuses []statusRange

type statusRange struct{ lo, hi int }

// ParseStatuses reads "200", "200-399" or "200,204,300-303".
func ParseStatuses(s string) (Statuses, error) {
	var set Statuses
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		lo, err := statusCode(from)
		if err != nil {
			return nil, err
		}
		hi, err := statusCode(to)
		if err != nil {
			return nil, err
		}
		if hi < lo {
			return nil, fmt.Errorf("status range %q ends before it begins; write %d-%d", part, hi, lo)
		}
		set = append(set, statusRange{lo, hi})
	}
	return set, nil
}

func statusCode(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n < 100 || n > 999 {
		return 0, fmt.Errorf("%q is not an HTTP status code; expected codes and ranges as in 200,204,300-303", s)
	}
	return int(n), nil
}

// Has tells whether code is in the set.
func (s Statuses) Has(code int) bool {
	for _, r := range s {
		if code >= r.lo && code <= r.hi {
			return true
		}
	}
	return false
}
