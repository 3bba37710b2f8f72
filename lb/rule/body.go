package rule

import (
	"fmt"
	"strconv"
	"strings"

	"lbsyslogd/lb/sample"
)

// waitForBody holds the rules until the body of the request, or of the response,
// is there.
type waitForBody struct{ await sample.Await }

// parseWaitForBody reads time <time> [at-least <bytes>].
func parseWaitForBody(p *ruleParser) (action, error) {
	a := &waitForBody{}
	for !p.atCond() {
		word := p.next()
		value, err := p.need("a value after '" + word + "'")
		if err != nil {
			return nil, err
		}
		switch word {
		case "time":
			a.await.Time, err = p.milliseconds(value)
		case "at-least":
			a.await.AtLeast, err = bytesOf(value)
		default:
			err = fmt.Errorf("expects 'time <time>' and 'at-least <bytes>', not '%s'", word)
		}
		if err != nil {
			return nil, err
		}
	}
	if a.await.Time == 0 {
		return nil, fmt.Errorf("expects 'time <time>'")
	}
	return a, nil
}

// bytesOf reads a size such as 4096 or 4k.
func bytesOf(word string) (int, error) {
	digits := strings.TrimRight(word, "kKmM")
	scale, ok := map[string]int{"": 1, "k": 1 << 10, "m": 1 << 20}[strings.ToLower(word[len(digits):])]
	n, err := strconv.ParseUint(digits, 10, 20)
	if err != nil || !ok {
		return 0, fmt.Errorf("'%s' is not a size such as 1000 or 4k", word)
	}
	return int(n) * scale, nil
}

func (a *waitForBody) run(x *sample.Ctx) Verdict {
	x.Await = a.await
	return AwaitBody
}
