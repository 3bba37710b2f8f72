package message

import (
	"bytes"
	"strings"
)

// What a word of the lists below is.
const (
	textWord = 1 << iota // what a text begins with, rather than a host's name
	hostWord             // of those, what hosts are called too
)

// levels are the names of severities.
const levels = "emerg emergency alert crit critical err error warn warning notice info debug"

// wordsOfHosts are words that texts begin with and that may be the name of a host too. Each is one only where a tag follows.
const wordsOfHosts = `
	access active address alarm answer application argument attack authentication authorization available average battery best big buffer call card case certificate chassis client
	clock code cold command common condition console content control count cover current daemon data date day default degraded device dial direct disk
	domain door driver eight element eleven email engine entry event events extended external fan feature few file files filter firewall firmware
	first five flapping flow four frame free full gateway general good group hardware head heartbeat hello hidden high hope hot hour hours idle image
	index inner input interface internal job keep keepalive kernel key known latency later lease level license limit line link list little live local
	log long lookup loop low main management manual mark maximum media member memory minimum mode module month name network new night nine node number
	object odd offline old one online operation option original other outer output owner page parity part partial path peer phase physical
	ping plugin point policy pool port possible post power present primary print printer probe problem program progress protected protocol query queue
	random rate reason recent region remote report required resource resources result right role root route routine rule runtime safe sample scan
	script search second seconds security select server service seven shared short side signal simple single six size slot slow small software sound
	source space spanning special stale standard standby state statistics status step storage store stream string subject summary support switch sync system
	table task ten terminal test thing thread three time timer today tomorrow tonight top topology total traffic transfer transition trap trust tunnel twelve
	two type types unit unused update upgrade usage used useful user valid value vendor version virtual voltage volume way week wide word words work
	worker works world year years zero zone`

// wordsOfTexts are words that texts begin with and that are no host's name.
const wordsOfTexts = `
	password a aborted aborting about above accept accepted acknowledged acquired activated activating add added adding after again against alive all allocated
	allow allowed allowing almost along already also although always among an and another any anything applied applying are around arrived as ask
	asked assigned associated at attached attempt attempting attempts authenticated authorized away back bad be became because become been before
	begin beginning begins being below better between beyond bind binding block blocked boot booting both bound bring broken bug busy but by bytes
	called calling came can cancelled cannot captured careful cause caused causes change changed changing check checking cleared clearing close closed
	closing collected come coming committed compiled complete completed computed config configuration configured configuring confirmed connect
	connected connecting connection connections connects contains continue continued continuing copied copying corrupt corrupted could crashed create
	created creating cut damaged days dead dear decoded deferred delayed delete deleted deleting delivered denied deny depends described destroyed
	destroying detached detaching details detected detecting determined did different directory disable disabled disabling discarded discarding
	disconnect disconnected discovered displaying do does done down downloaded downloading drop dropped dropping due duplicate during each early
	edited either eligible else emptied empty enable enabled enabling encountered encrypted end ended ending ends enough entered entering erased
	errors established establishing even ever every evicted exactly examined exceeded exceeding exceeds except exception execute executed executing
	exhausted exists exit exited exiting expected expecting expired expires exported extra fail failed failing failover failure fallback false fatal
	faulty fetched fetching filesystem finally finished fixed flush flushed flushing following for forbidden forced forwarded forwarding found freed
	from further generated generating get getting give given go goes going got granted had has have having he held help her here hi him his hit
	holding how however i identified if ignore ignored ignoring illegal immediate imported importing improper in included incoming incomplete
	incorrect increased indeed information init initialized initializing insert inserted inside installed installing instead interrupt interrupted
	into invalid invalidated invoked is issue issued it its joined joining just keeping kept killed killing know last late leaving left length less
	let like likely linked listen listening lists load loaded loading locked locking logged login logout look looking lost made maintenance make makes
	making malformed many match matched matching may maybe me mean means measured message messages might minute minutes mismatch missing modified
	monitoring more most mounted mounting move moved moving much multiple must my near need needed needs negotiated neighbor neither never next no
	nobody none nonexistent normal not noted nothing notified now null obtained occurred of off offset often oh ok okay on once only onto open opened
	opening operational or our out outgoing outside over overflow overload own packet packets panic parsed parsing passed paused pending per performed
	performing permission permit permitted pid placed please plus ports possibly preparing pressed previous probably process processed processing
	prompt provided purged pushed put queued quit quite raised rather reachable reached read reading ready real really rebooted rebooting rebuild
	rebuilding received receiving recorded recovered recovering redirecting reduced refreshed refreshing refused refusing registered registering
	reject rejected rejecting related released releasing reload reloaded reloading remains remember remove removed removing renamed renewed renewing
	reopened repeat repeated repeats replaced replacing replied reply reported reporting request requests reserved reset resetting resolved responded
	responding response rest restart restarted restarting restored restoring resumed resuming retransmit retry retrying return returned returning
	revoked rolled rotated rotating running runs said same saved saving say says scanned scanning scheduled see seems seen selected send sending sent
	session sessions set setting several shall she should show shows shut shutdown shutting similar since skipped skipping so some somebody someone
	something somewhere soon sorry spawned specified spurious start started starting still stop stopped stopping stored strong stuck submitted
	succeeded success successful successfully such suddenly supported supposed sure suspended suspicious switched switching synchronized synchronizing
	syntax take taken takes taking tell temperature temporary terminated terminating text than thank thanks that the their them then there therefore
	these they things this those though threshold through thus tick till timed timeout timeouts times to together too took toward transferred transmit
	tried tries triggered true truncated trusted try trying turned turning twice unable unassigned unauthorized unavailable unblocked unbound
	undefined under unexpected unicast unknown unless unlocked unmounted unplugged unreachable unrecognized unrecoverable unregistered unresolved
	unspecified unsuccessful unsupported until untrusted up updated updating upgraded upgrading uploaded uploading upon us use useless users using
	usual usually verified verify verifying very via wait waited waiting waking want warnings was we well went were what whatever when where whether
	which while who whole whose why will with withdrawn within without won worked working worse would write writing written wrong yes yesterday yet
	you your`

// longestWord is that of the lists.
const longestWord = 14

// A wordList finds the words of the lists: a table of hashes, open addressing, a quarter full.
type wordList [1 << 12]struct {
	word string
	kind uint8
}

var listed = func() *wordList {
	l := new(wordList)
	add := func(text string, kind uint8) {
		for word := range strings.FieldsSeq(text) {
			h := wordHash([]byte(word))
			for l[h].word != "" && l[h].word != word {
				h = (h + 1) % uint32(len(l))
			}
			l[h].word = word
			l[h].kind |= kind
		}
	}
	add(levels, textWord)
	add(wordsOfHosts, textWord|hostWord)
	add(wordsOfTexts, textWord)
	return l
}()

// wordHash is a place in the table, the same for small and for capital letters.
func wordHash(word []byte) uint32 {
	n := len(word)
	h := uint32(word[0]|0x20) | uint32(word[n/2]|0x20)<<8 | uint32(word[n-1]|0x20)<<16 | uint32(word[n/4]|0x20)<<24
	h = h*0x9e3779b1 ^ uint32(word[(n-1)*3/4]|0x20)<<13 ^ uint32(n)
	return h * 0x85ebca6b >> 20
}

// kindOf says what a word is by the lists, in whatever case.
func kindOf(word []byte) uint8 {
	if len(word) == 0 || len(word) > longestWord {
		return 0
	}
next:
	for h := wordHash(word); listed[h].word != ""; h = (h + 1) % uint32(len(listed)) {
		if len(listed[h].word) != len(word) {
			continue
		}
		for i, c := range word {
			if c|0x20 != listed[h].word[i] {
				continue next
			}
		}
		return listed[h].kind
	}
	return 0
}

// isLevel says whether a word is a severity. F5 and others write it between the host and the tag.
func isLevel(word []byte) bool {
	switch len(word) {
	case 3:
		return isWord(word, "err")
	case 4:
		return isWord(word, "info") || isWord(word, "warn") || isWord(word, "crit")
	case 5:
		return isWord(word, "error") || isWord(word, "debug") || isWord(word, "alert") || isWord(word, "emerg")
	case 6:
		return isWord(word, "notice")
	case 7:
		return isWord(word, "warning")
	case 8:
		return isWord(word, "critical")
	case 9:
		return isWord(word, "emergency")
	}
	return false
}

// isWord says whether word, of the same length, is a word of small letters in whatever case.
func isWord(word []byte, small string) bool {
	for i, c := range word {
		if c|0x20 != small[i] {
			return false
		}
	}
	return true
}

// isTextWord says whether a text begins with this word rather than with a host's name.
func isTextWord(word []byte) bool { return kindOf(word)&textWord != 0 }

// isOnlyText says whether a word is one that texts begin with and that no host is called.
func isOnlyText(word []byte) bool { return kindOf(word)&(textWord|hostWord) == textWord }

// mayBeHost says whether a word that texts begin with may be the name of a host too. It is one only where a tag follows.
func mayBeHost(word []byte) bool { return kindOf(word)&hostWord != 0 }

// isSeverity says whether a word is a severity in one of the forms that stand between a host and a tag: "notice" (F5), "user.info" and
// "auth|security:info" (facility and severity), "In(14)" and "In(14)+" (ESXi, of a line that goes on).
func isSeverity(word []byte) bool {
	if n := len(bytes.TrimSuffix(word, plus)); n > 4 && n < 8 && word[2] == '(' && word[n-1] == ')' && isUpper(word[0]) && digits(word[3:]) == n-4 {
		return true
	}
	i := len(word) - 1
	for i >= 0 && isLetter(word[i]) {
		i--
	}
	if i < 0 {
		return isLevel(word)
	}
	if word[i] != '.' && word[i] != ':' || !isLevel(word[i+1:]) {
		return false
	}
	switch string(word[:i]) {
	case "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "security", "auth|security",
		"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7":
		return true
	}
	return false
}

var plus = []byte("+")

// isBracketedPriority says whether word is "<auth.info>" or "<4.6>", as the BSDs write the priority into files that somebody then sends.
func isBracketedPriority(word []byte) bool {
	inner, ok := bytes.CutSuffix(word[1:], []byte(">"))
	if !ok || len(inner) == 0 {
		return false
	}
	if facility, severity, ok := bytes.Cut(inner, dot); ok && digits(facility) == len(facility) && digits(severity) == len(severity) {
		return len(facility) > 0 && len(facility) < 3 && len(severity) == 1
	}
	return isSeverity(inner)
}

// isFacilityToo says whether word is a facility and a severity, "user.info".
func isFacilityToo(word []byte) bool {
	return len(word) > 0 && isFacility[word[0]&0x1f] && (bytes.IndexByte(word, '.') > 0 || bytes.IndexByte(word, ':') > 0) && isSeverity(word)
}

// severityAt is the length of a severity at the front of b, which begins with a letter, and of the blank after it; 0 when there is none.
func severityAt(b []byte) int {
	if len(b) < 3 || levelPairs[b[0]&0x1f]>>(b[1]&0x1f)&1 == 0 && b[2] != '(' {
		return 0 // nearly all texts
	}
	i := 1
	for i < len(b) && i < 10 && isLetter(b[i]) {
		i++
	}
	switch {
	case i == len(b):
		return 0
	case b[i] == ' ' || b[i] == '\t':
		if !isLevel(b[:i]) {
			return 0
		}
		return i + 1
	case b[i] == '(' || b[i] == '.' || b[i] == ':' || b[i] == '|' || isDigit(b[i]): // "In(14)", "user.info", "auth|security:info", "local0.info"
		if word, after := cutBlanks(b); len(after) > 0 && isSeverity(word) {
			return len(word) + 1
		}
	}
	return 0
}

// levelPairs has, for each first letter of the names of facilities and severities, a bit for each second one.
var levelPairs = func() (table [32]uint32) {
	for _, name := range []string{
		"err", "info", "warn", "crit", "error", "debug", "alert", "emerg", "notice",
		"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "ftp", "security", "local0",
	} {
		table[name[0]&0x1f] |= 1 << (name[1] & 0x1f)
	}
	return table
}()

// isFacility has the letters that the names of facilities begin with.
var isFacility = func() (table [32]bool) {
	for _, c := range "acdfklmnsu" {
		table[c&0x1f] = true
	}
	return table
}()

// isZone says whether a word is the abbreviation of a time zone. Which zone it means cannot be known ("CST" is three of them), so a time is
// taken as it was sent.
func isZone(word []byte) bool {
	switch string(word) {
	case "Z", "DST", "UTC", "GMT", "WET", "WEST", "BST", "IST", "CET", "CEST", "EET", "EEST", "MSK", "TRT", "SAST", "EAT", "WAT", "CAT", "GST", "PKT", "NPT",
		"WIB", "ICT", "SGT", "HKT", "PHT", "AWST", "KST", "JST", "ACST", "ACDT", "AEST", "AEDT", "NZST", "NZDT", "BRT", "ART", "CLT", "CLST", "AST", "ADT",
		"NST", "NDT", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT", "AKST", "AKDT", "HST":
		return true
	}
	return false
}
