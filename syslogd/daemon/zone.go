package daemon

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lbsyslogd/syslogd/config"
)

// localtime is where the system says which time zone it is in.
const localtime = "/etc/localtime"

// localZone gives a configuration that wants local time the zone that is the local one now. Go's time.Local is that of the start of the
// process for ever. An output knows which zone it is by a name, so that a reload notices another.
func (d *Daemon) localZone(c *config.Config) {
	if c.Zone != nil {
		return
	}
	zone, name, err := systemZone(localtime)
	if err != nil {
		d.Log.Warn("the local time zone cannot be read; times are in UTC", "err", err)
		zone, name = time.UTC, "UTC"
	}
	c.Zone = zone
	for i := range c.Outputs {
		c.Outputs[i].Zone = name
	}
}

// systemZone is the zone that TZ names, or that of the file localtime, and a name for it which changes with what it says.
func systemZone(localtime string) (zone *time.Location, name string, err error) {
	tz, set := os.LookupEnv("TZ")
	tz = strings.TrimPrefix(tz, ":")
	switch {
	case !set:
		zone, name, err = zoneFile(localtime)
		if errors.Is(err, fs.ErrNotExist) {
			return time.UTC, "UTC", nil // as the C library has it
		}
		return zone, name, err
	case tz == "" || tz == "UTC":
		return time.UTC, "UTC", nil
	case filepath.IsAbs(tz):
		zone, name, err = zoneFile(tz)
	default:
		name = tz
		zone, err = time.LoadLocation(tz)
	}
	if err != nil {
		return nil, "", fmt.Errorf("TZ=%s is not a time zone that is known here: %w; set time_zone in the configuration", tz, err)
	}
	return zone, name, nil
}

func zoneFile(path string) (zone *time.Location, name string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	zone, err = time.LoadLocationFromTZData("Local", data)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return zone, fmt.Sprintf("%s %x", path, sha256.Sum256(data)), nil
}
