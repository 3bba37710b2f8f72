package chain

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// A Signature says that the chain had come so far at a time. It is a line of JSON.
type Signature struct {
	Log     string    `json:"log"`     // the name of the log's current file
	Segment uint64    `json:"journal"` // the number of the newest journal
	Records int       `json:"records"` // how many records that had
	Head    string    `json:"head"`    // the hash of the last of them
	Time    time.Time `json:"time"`
	Key     string    `json:"key"` // the beginning of the SHA-256 of the public key
	Sig     string    `json:"signature"`
}

// text is what is signed.
func (s *Signature) text() []byte {
	return fmt.Appendf(nil, "lbsyslogd log chain 1\n%q\n%d\n%d\n%s\n%s\n", s.Log, s.Segment, s.Records, s.Head, s.Time.UTC().Format(time.RFC3339Nano))
}

func keyID(key ed25519.PublicKey) string {
	h := sha256.Sum256(key)
	return base64.RawURLEncoding.EncodeToString(h[:9])
}

// Sign signs how far the chain of a log has come.
func Sign(key ed25519.PrivateKey, log string, journal []*Segment, now time.Time) (Signature, error) {
	if len(journal) == 0 || len(journal[len(journal)-1].Records) == 0 {
		return Signature{}, errors.New("there is no chain to sign")
	}
	last := journal[len(journal)-1]
	if last.Bad != nil {
		return Signature{}, fmt.Errorf("journal %s: %w", FileName(last.Number), last.Bad)
	}
	s := Signature{
		Log: log, Segment: last.Number, Records: len(last.Records), Head: last.Head().String(), Time: now.UTC(),
		Key: keyID(key.Public().(ed25519.PublicKey)),
	}
	s.Sig = base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, s.text()))
	return s, nil
}

// Signed is what signatures prove.
type Signed struct {
	Signatures int // that are good
	Last       Signature
}

// VerifySignatures compares signatures, one JSON object a line, with the journals. Those of other keys do not count; what does not fit becomes a
// finding of the report.
func (r *Report) VerifySignatures(key ed25519.PublicKey, log string, journal []*Segment, text []byte, file string) (signed Signed) {
	id := keyID(key)
	heads := make(map[uint64]*Segment)
	for _, s := range journal {
		heads[s.Number] = s
	}
	n := int64(0)
	for line := range splitLines(text) {
		n++
		var s Signature
		if err := json.Unmarshal(line, &s); err != nil {
			r.find(file, n, "the signature cannot be read: %v", err)
			continue
		}
		if s.Key != id || s.Log != log {
			continue
		}
		sig, err := base64.RawURLEncoding.DecodeString(s.Sig)
		if err != nil || !ed25519.Verify(key, s.text(), sig) {
			r.find(file, n, "the signature is false")
			continue
		}
		of := heads[s.Segment]
		switch {
		case of == nil && len(journal) > 0 && s.Segment < journal[0].Number:
			// Retention has removed what it was of.
		case of == nil || len(of.Records) < s.Records:
			r.find(file, n, "of what was signed at %s, journal %s with %d records, something is missing", s.Time.Format(time.RFC3339), FileName(s.Segment), s.Records)
			continue
		case s.Records < 1 || of.Heads[s.Records-1].String() != s.Head:
			r.find(file, n, "journal %s is not the one that was signed at %s", FileName(s.Segment), s.Time.Format(time.RFC3339))
			continue
		}
		signed.Signatures++
		if signed.Last.Time.Before(s.Time) {
			signed.Last = s
		}
	}
	if signed.Signatures == 0 {
		r.find(file, 0, "there is no good signature of this key")
	}
	return signed
}

func splitLines(text []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(text) > 0 {
			end := 0
			for end < len(text) && text[end] != '\n' {
				end++
			}
			if !yield(text[:end]) {
				return
			}
			text = text[min(end+1, len(text)):]
		}
	}
}

// ReadKey reads an ed25519 key of PEM: "openssl genpkey -algorithm ed25519" makes a private one, and "openssl pkey -pubout" the public one of it.
func ReadKey(path string) (private ed25519.PrivateKey, public ed25519.PublicKey, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, nil, fmt.Errorf("%s has no PEM block", path)
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if k, ok := key.(ed25519.PrivateKey); ok {
			return k, k.Public().(ed25519.PublicKey), nil
		}
		return nil, nil, fmt.Errorf("%s is not an ed25519 key", path)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	k, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, nil, fmt.Errorf("%s is not an ed25519 key", path)
	}
	return nil, k, nil
}
