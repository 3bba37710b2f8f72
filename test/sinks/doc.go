// Package sinks sends a syslogd's lines to real receivers: VictoriaLogs and the receiver of an OpenTelemetry collector.
package sinks
