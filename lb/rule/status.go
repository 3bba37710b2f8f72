package rule

import "net/http"

// StatusText is the reason phrase of a status code, as HAProxy writes it.
func StatusText(code int) string {
	switch code {
	case 208:
		return "Already Reported"
	case 302:
		return "Found"
	case 413:
		return "Payload Too Large"
	}
	if text := http.StatusText(code); text != "" {
		return text
	}
	return "Other"
}
