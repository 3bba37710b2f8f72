// Package cfgdiff compares two configurations: the one that a process was loaded
// from and the one that it would be loaded from now.
//
// It compares what lines say after conditions and variables, section by section.
// The order of lines counts where it means something: among rules of one kind, not
// between a timeout and a server. Servers have the default-server lines that apply to
// them, as those change servers whose own lines stay. Nothing that is printed has a
// password in it; what hides is in mask.go.
package cfgdiff
