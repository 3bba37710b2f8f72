package handoff

// besideSuffix is added to a unix socket's path while it is made ready.
const besideSuffix = ".new"
