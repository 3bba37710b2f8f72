// Package box tests the service under a real systemd: a throw-away machine
// (the script box next to this file) boots in half a second, the unit of
// packaging/systemd is installed in it, and operators' commands are run in it
// under load.
//
// It needs root, and the packages that test/setup installs.
package box
