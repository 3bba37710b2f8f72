package worker

import (
	"fmt"
	"os"
	"os/user"
	"strconv"

	"lbsyslogd/lb/config"
)

// identity is what the global section's user, group, uid and gid make of the
// process; -1 leaves a part as it is. A user other than root stays what it is: the
// configuration said so in a note.
func identity(g *config.Global) (uid, gid int, err error) {
	if os.Geteuid() != 0 {
		return -1, -1, nil
	}
	uid, gid = g.UID, g.GID
	if g.User != "" {
		u, err := user.Lookup(g.User)
		if err != nil {
			return -1, -1, fmt.Errorf("user %s of the global section: there is no such user", g.User)
		}
		if uid, err = strconv.Atoi(u.Uid); err != nil {
			return -1, -1, fmt.Errorf("user %s of the global section: %w", g.User, err)
		}
	}
	if g.Group != "" {
		gr, err := user.LookupGroup(g.Group)
		if err != nil {
			return -1, -1, fmt.Errorf("group %s of the global section: there is no such group", g.Group)
		}
		if gid, err = strconv.Atoi(gr.Gid); err != nil {
			return -1, -1, fmt.Errorf("group %s of the global section: %w", g.Group, err)
		}
	}
	return uid, gid, nil
}
