package relp

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Version is the newest version of the protocol that this package speaks. librelp offers 0, and means the same by it.
const Version = 1

// Offers are what the ends of a connection tell each other at its beginning.
type Offers struct {
	Version  int      // relp_version
	Commands []string // commands: optional ones, such as "syslog"
	Software string   // relp_software
}

// ParseOffers reads the data of "open", or what follows the code in the response to it. Offers that it does not know are passed over, as the
// specification wants it.
func ParseOffers(data []byte) (Offers, error) {
	o := Offers{Version: -1}
	for line := range strings.SplitSeq(string(data), "\n") {
		name, values, _ := strings.Cut(strings.TrimSuffix(line, "\r"), "=")
		switch name {
		case "relp_version":
			n, err := strconv.Atoi(values)
			if err != nil || n < 0 {
				return o, fmt.Errorf("the offer relp_version=%.20q is no version", values)
			}
			o.Version = n
		case "commands":
			o.Commands = append(o.Commands, strings.Split(values, ",")...)
		case "relp_software":
			o.Software = values
		}
	}
	if o.Version < 0 {
		return o, errors.New("there is no relp_version among the offers")
	}
	return o, nil
}

// Has says whether a command is offered.
func (o Offers) Has(command string) bool { return slices.Contains(o.Commands, command) }

// Append appends the offers as data of "open" and of its response.
func (o Offers) Append(dst []byte) []byte {
	dst = append(dst, "relp_version="...)
	dst = strconv.AppendInt(dst, int64(o.Version), 10)
	if o.Software != "" {
		dst = append(dst, "\nrelp_software="...)
		dst = append(dst, o.Software...)
	}
	dst = append(dst, "\ncommands="...)
	return append(dst, strings.Join(o.Commands, ",")...)
}
