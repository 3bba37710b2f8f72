package daemon

// MessageIDs gives the journal's MESSAGE_ID of what this daemon and its packages say, by the text. They are never used again for
// something else, and packaging/systemd/syslogd.catalog explains each.
func MessageIDs() map[string]string {
	return map[string]string{
		"ready":                          "47f7f83573dd4d86986bdb95a6bf3d8e",
		"the configuration was reloaded": "f3c88e6c46704a379252a3c9d0b4b317",
		"stopping":                       "d9305f7675874133acd47fc04f274fc9",
		"the receive buffer is small":    "be339e89f0f94687b016283a22a52132",
		"the kernel dropped messages because the receive buffer was full":                          "2c45bd5861c7422caba549c20e3074fb",
		"the disk takes no lines; they wait in memory":                                             "79d4a80e062a4da096643c8e37963ad3",
		"the disk takes lines again":                                                               "b2cb861264c04ed6801290c549aadf73",
		"the disk takes lines again, but some were lost while it took none":                        "2c31751488b44fd2815252ebd7e117fa",
		"the log file was moved or deleted; writing to a new one":                                  "8e781282b3f24e5b81c8331c0693b19e",
		"the log file was truncated by somebody":                                                   "aff805e5b0504cd5b8cdcf79377634f4",
		"a rotated file is given up before it was read, because more waits than may be held":       "e0591960fb5346a8b9e7a656256ad4cf",
		"the file that is forwarded is gone before all of it was sent; going on with the next one": "541c33a544054d4c996df133498af670",
		"forwarding waits": "02c5427661e84bb38eb12891bf71519a",
		"forwarding":       "90a6daf5bc074b7dbb1739340ad1e179",
		"the receiver refuses a line, which is set aside": "c4b1f0e37d5a4a0f9e0d5a3c8b7261f4",
		"the receiver has dropped lines":                  "5d0e8a91c37f4be2a6c9147fb20d83e6",
		"connections refused":                             "e0017c42a66c456da84b4be75f09eef8",
		"TLS handshakes failed":                           "0ee8748cfd854344b4b51b3ba69c9461",
		"the address is not there yet":                    "205383cb7d3a4e70a1e656a2997c84e0",
		"a sender counts octets wrongly; the stream was found again, and messages next to the wrong one may be torn": "75f5738cb3f7495793dd53fd14a30bb2",
	}
}
