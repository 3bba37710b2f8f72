// Package event names what an operator may want to find again in the journal:
// the kinds of messages, each with its MESSAGE_ID, and the fields they have.
//
//	journalctl -u lb MESSAGE_ID=cf9694c197014febbeb06de0466cb388
//	journalctl -u lb LB_SERVER=app/s1
//
// The kinds are explained in packaging/systemd/lb.catalog, which `journalctl
// -x` shows below each message.
package event

import (
	"log/slog"
	"strings"
)

// Levels besides those of slog.
const (
	// AsHAProxy is what HAProxy says at the same moment and tools wait for. It is
	// not shown in the journal, where another message tells it.
	AsHAProxy = slog.LevelInfo - 2
	// Alert is what somebody has to be woken for.
	Alert = slog.LevelError + 4
)

// Kind is a MESSAGE_ID. They are never used again for something else.
type Kind string

// The kinds: each is in the catalog.
const (
	Serving       Kind = "3c9093c270ae4678a5a6d9fedc4f4444" // a generation serves: after a start, a reload, a crash
	ReloadFailed  Kind = "9f72703afe9248b3882f1c1ba017b418" // a reload failed, and what served serves on
	StartFailed   Kind = "10b3421e64aa413c8c0fc5eb03bd5a20" // nothing serves, because the start failed
	Left          Kind = "f72f3744b1c34625bb3b853e18defbfc" // a generation has finished what it had and is gone
	WorkerCrashed Kind = "3c5c6a2b45fd4d21bc3516e4471ff949" // the worker that served is gone, and another one is started
	TakenBack     Kind = "8b4b65bd08d34e6d978dc00eb27706e5" // the configuration before is loaded again, because the new one killed its worker
	TrialBegun    Kind = "0d1e9bd6c2dd4bd68d4f5df6a7ce31a5" // a new configuration serves a part of the traffic, on trial
	TrialEnded    Kind = "5a0f37ac2d0f4c62a3f1c4a68ab7a0b9" // a trial is over: promoted, or taken back
	CrashLoop     Kind = "fe7e38a85420484bab59bd3c388fa95f" // workers die in a row, and the next one has to wait
	RequestsLost  Kind = "6eb1aecd1e724a75af302908dc0a5a4a" // requests in flight in a worker that was killed
	MasterGone    Kind = "c710d742979f4892a08579dad85fc873" // a worker serves on without a master
	Adopted       Kind = "e2cb8487f1214b7099771ee87a030950" // a master has found the workers of the one before
	Upgrading     Kind = "6b381b26e6094d7daa5c88d04e871460" // the master becomes the program on disk
	ServerDown    Kind = "cf9694c197014febbeb06de0466cb388" // a server takes no requests any more
	ServerUp      Kind = "bbbec1e0ab514fa5a0eb5ea96e9be984" // a server takes requests again
	NoServer      Kind = "db882fa15b5c4589bb7c306389625199" // a backend has no server left
	Certificate   Kind = "6b4e1eb604844ba7be1661aa82d4bd41" // a certificate has expired, or soon will
	FewFiles      Kind = "ad984815b2cd42e1be9fdf98abaabbae" // the limit of open files is too low, or reached
	LogsLost      Kind = "273bcf03911440649293450866d919a9" // nobody takes the log lines
	LogsBack      Kind = "d10326c2b99e48dea48267a98375fa11" // log lines are taken again
	HardStop      Kind = "3a4696c81303470d9235d78ec2ea73df" // hard-stop-after has ended what was still open
)

// SumsUp says whether a line only says that there are errors, which have lines
// of their own: HAProxy's tools look for it, and it tells an operator nothing.
func SumsUp(line string) bool {
	for _, sum := range []string{"Error(s) found in configuration file", "Fatal errors found in configuration", "listeners cannot be opened"} {
		if strings.Contains(line, sum) {
			return true
		}
	}
	return false
}

// Attr is the field that a message of this kind has.
func (k Kind) Attr() slog.Attr { return slog.String("MESSAGE_ID", string(k)) }

// Generation is which worker since the first master it is about.
func Generation(n int) slog.Attr { return slog.Int("LB_GENERATION", n) }

// Worker is the process it is about.
func Worker(pid int) slog.Attr { return slog.Int("LB_WORKER_PID", pid) }

// Reload is the number of the reload it belongs to.
func Reload(n int) slog.Attr { return slog.Int("LB_RELOAD_ID", n) }

// Proxy is the frontend or backend it is about.
func Proxy(name string) slog.Attr { return slog.String("LB_PROXY", name) }

// Server is the server it is about, as backend/server.
func Server(backend, server string) slog.Attr { return slog.String("LB_SERVER", backend+"/"+server) }
