package tlsrecord

import "fmt"

// Alert is the description of an alert (RFC 8446 section 6).
type Alert uint8

// Alerts that are sent or mean something.
const (
	CloseNotify       Alert = 0
	UnexpectedMessage Alert = 10
	BadRecordMAC      Alert = 20
	RecordOverflow    Alert = 22
	IllegalParameter  Alert = 47
	DecodeError       Alert = 50
	ProtocolVersion   Alert = 70
	InternalError     Alert = 80
	UserCanceled      Alert = 90
	NoRenegotiation   Alert = 100
	alertWarning            = 1
	alertFatal              = 2
)

// Error is why a connection cannot go on. Unless the peer said so, it is to be
// sent with Conn.Alert.
type Error struct {
	Alert  Alert
	Remote bool // the peer sent the alert
	Text   string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Remote {
		return fmt.Sprintf("tls: the peer sent alert %d", e.Alert)
	}
	return "tls: " + e.Text
}

func fault(a Alert, text string) error { return &Error{Alert: a, Text: text} }
