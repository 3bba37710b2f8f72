package stats

import _ "embed"

// Schema is the JSON schema of what AppendJSON and AppendInfoJSON write, as
// HAProxy's programs expect it: they compare names, so it is HAProxy's.
//
//go:embed schema.json
var Schema string
