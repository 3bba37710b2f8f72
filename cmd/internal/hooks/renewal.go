package hooks

import (
	"path/filepath"
	"regexp"
	"strings"
)

// Hooks of programs that reload a balancer for a reason of their own: a
// certificate was renewed, an interface came up, an address moved.

// renewalHook is a setting of certbot with a command.
var renewalHook = regexp.MustCompile(`^\s*(pre|post|renew|deploy)[-_]hook\s*=\s*(.*)$`)

// certbot reads what runs when certificates are renewed.
func (r *reading) certbot() {
	for _, when := range []string{"pre", "deploy", "post"} {
		for _, name := range r.list("/etc/letsencrypt/renewal-hooks/" + when) {
			r.script(name, "certbot "+when+" hook")
		}
	}
	settings := []string{"/etc/letsencrypt/cli.ini"}
	for _, name := range r.list("/etc/letsencrypt/renewal") {
		if strings.HasSuffix(name, ".conf") {
			settings = append(settings, name)
		}
	}
	for _, name := range settings {
		text, ok := r.open(name)
		if !ok {
			continue
		}
		joined(text, func(n int, l string) {
			if m := renewalHook.FindStringSubmatch(l); m != nil {
				r.add(line{name, n, "certbot " + m[1] + " hook", m[2]})
			}
		})
	}
}

// network reads what runs when interfaces and addresses come and go.
func (r *reading) network() {
	for _, dir := range []string{
		"/etc/network/if-pre-up.d", "/etc/network/if-up.d", "/etc/network/if-down.d", "/etc/network/if-post-down.d",
		"/etc/NetworkManager/dispatcher.d", "/etc/dhcp/dhclient-enter-hooks.d", "/etc/dhcp/dhclient-exit-hooks.d", "/etc/ppp/ip-up.d", "/etc/ppp/ip-down.d",
		"/etc/networkd-dispatcher/routable.d", "/etc/networkd-dispatcher/configured.d", "/etc/networkd-dispatcher/degraded.d", "/etc/networkd-dispatcher/off.d",
	} {
		for _, name := range r.list(dir) {
			r.script(name, "network hook "+filepath.Base(dir))
		}
	}
	const interfaces = "/etc/network/interfaces"
	text, ok := r.open(interfaces)
	if !ok {
		return
	}
	joined(text, func(n int, l string) {
		words := strings.Fields(l)
		if len(words) > 1 {
			switch words[0] {
			case "up", "down", "pre-up", "post-up", "pre-down", "post-down":
				r.add(line{interfaces, n, "network hook " + words[0], strings.TrimPrefix(strings.TrimSpace(l), words[0])})
			}
		}
	})
}

// script reads a file of shell commands.
func (r *reading) script(name, by string) {
	if text, ok := r.open(name); ok {
		r.shell(name, by, text)
	}
}

// emptied finds the file that a line cuts to nothing: truncate -s 0 FILE, : > FILE, cat /dev/null > FILE.
var emptied = regexp.MustCompile(`\btruncate\b[^;&|]*?\s(?:-s\s*0|--size[= ]0)\b[^;&|]*?\s(/\S+)|\btruncate\s+(/\S+)\s+(?:-s\s*0|--size[= ]0)\b|(?:^|[;&|{]\s*)(?::|true|cat\s+/dev/null|echo\s+-n|printf\s+(?:''|""))?\s*>\s*(/\S+)`)

// emptiesLog says which balancer's log a line cuts to nothing; "" none.
func emptiesLog(text string) string {
	for _, m := range emptied.FindAllStringSubmatch(text, -1) {
		if file := m[1] + m[2] + m[3]; ofBalancer(file) && strings.Contains(file, "log") {
			return strings.TrimRight(file, ";)\"'")
		}
	}
	return ""
}
