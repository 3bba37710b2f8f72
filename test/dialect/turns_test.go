package dialect

import "testing"

// TestTurnsOfAvoidedServers: a server that a redispatch avoids uses up its turn.
func TestTurnsOfAvoidedServers(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %HU %b/%s %rc %ST")+`
  option redispatch 1
  retries 3
frontend fe
  bind HTTP
  use_backend %[path,field(3,/)]
backend last
  server s1 S1
  server s2 S2
  server down DOWN
backend first
  server down DOWN
  server s1 S1
  server s2 S2
  server s3 S3
backend weights
  server s1 S1 weight 3
  server down DOWN weight 2
  server s2 S2 weight 1
backend two
  server down DOWN
  server s1 S1
backend downs
  server down1 DOWN
  server s1 S1
  server down2 DOWN
  server s2 S2
`, nil)
	drive := func(s *subject) (got []string) {
		for _, be := range []string{"last", "first", "weights", "two", "downs"} {
			for range 13 {
				got = append(got, s.get("/headers/"+be))
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}
