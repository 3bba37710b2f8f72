package rule

import "net/http"

// StatusText is the reason phrase of a status code, as HAProxy writes it.
func StatusText(code int) string {
	if code == http.StatusRequestEntityTooLarge {
		return "Payload Too Large"
	}
	if text := http.StatusText(code); text != "" {
		return text
	}
	switch code / 100 {
	case 1:
		return "Informational"
	case 2:
		return "Success"
	case 3:
		return "Redirection"
	case 4:
		return "Client Error"
	case 5:
		return "Server Error"
	}
	return "Other"
}
