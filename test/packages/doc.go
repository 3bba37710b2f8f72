// Package packages tests what an administrator does with the packages, on a throw-away machine with a real systemd (test/box):
// install, configure, reload, rotate, upgrade, go back, remove, and the same on a machine without systemd.
//
// It needs root, and the programs that test/setup installs.
package packages
