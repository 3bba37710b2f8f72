package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lbsyslogd/syslogd/format"
	"lbsyslogd/syslogd/sink"
)

// A Report is what Verify found.
type Report struct {
	Topics, Partitions int
	Lines              uint64 // with a place, each counted once
	Duplicates         uint64 // lines that are stored once more
	Disordered         uint64 // lines that come after a later one of their file, in the same partition
	Foreign            uint64 // records without a place: others produce to these topics too
	Hosts, Files       int
	Gaps               []Gap
	Missing            int64 // bytes of the gaps
	// Unseen are files that come before another one and have no line here: removed by the topic's retention, from before the sink was set up, or lost.
	Unseen []Gap
}

// A Gap is a part of a file that is in no record, though what follows it is.
type Gap struct {
	Host     string
	File     string
	From, To int64
}

// Whole says whether each line is there.
func (r *Report) Whole() bool { return len(r.Gaps) == 0 }

// mostGaps bounds how many are printed.
const mostGaps = 20

// Print writes the report for an operator.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "%d lines of %d files of %d hosts in %d partitions of %d topics\n", r.Lines, r.Files, r.Hosts, r.Partitions, r.Topics)
	fmt.Fprintf(w, "gaps: %d (%d bytes); duplicates: %d; out of order: %d; records of others: %d\n", len(r.Gaps), r.Missing, r.Duplicates, r.Disordered, r.Foreign)
	for i, g := range r.Gaps {
		if i == mostGaps {
			fmt.Fprintf(w, "and %d more\n", len(r.Gaps)-i)
			break
		}
		fmt.Fprintf(w, "gap: host %s, file %s: bytes %d to %d\n", g.Host, g.File, g.From, g.To)
	}
	for _, g := range r.Unseen {
		fmt.Fprintf(w, "not here at all: host %s, file %s, %d bytes: removed by the topic's retention, from before it was sent to Kafka, or lost\n", g.Host, g.File, g.To)
	}
}

// Verify reads the topics of the settings, from their oldest record to what is the newest when it begins.
func Verify(ctx context.Context, s Settings) (*Report, error) {
	topics, err := topicPattern(s.Topic)
	if err != nil {
		return nil, err
	}
	var trouble trouble
	options, err := s.options(&trouble)
	if err != nil {
		return nil, err
	}
	finder, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	defer finder.Close()
	a := &audit{files: make(map[owner]*seen)}
	from, to, err := a.extent(ctx, finder, topics)
	if err != nil {
		if last := trouble.last(); last != nil && ctx.Err() != nil {
			err = last
		}
		return nil, trouble.named(&s, err)
	}
	reader, err := kgo.NewClient(append(options, kgo.ConsumePartitions(from), kgo.KeepControlRecords())...)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	if err := a.read(ctx, reader, to); err != nil {
		return nil, err
	}
	a.conclude()
	return &a.report, nil
}

// topicPattern matches the topics that a template can make.
func topicPattern(template string) (*regexp.Regexp, error) {
	t, err := format.ParseTemplate(template)
	if err != nil {
		return nil, err
	}
	var pattern strings.Builder
	for i, literal := range strings.Split(t.OtherName(), format.Other) {
		if i > 0 {
			pattern.WriteString(".+")
		}
		pattern.WriteString(regexp.QuoteMeta(literal))
	}
	return regexp.Compile("^" + pattern.String() + "$")
}

// ends are offsets by topic and partition.
type ends map[string]map[int32]int64

// extent says where the partitions of the topics begin and end that hold something.
func (a *audit) extent(ctx context.Context, client *kgo.Client, topics *regexp.Regexp) (from map[string]map[int32]kgo.Offset, to ends, err error) {
	request := kmsg.NewPtrMetadataRequest() // without topics it is about all
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return nil, nil, fmt.Errorf("ask for the topics: %w", err)
	}
	starts, to := ends{}, ends{}
	for _, topic := range response.Topics {
		if topic.Topic == nil || topic.IsInternal || !topics.MatchString(*topic.Topic) {
			continue
		}
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			return nil, nil, fmt.Errorf("topic %s: %w", *topic.Topic, err)
		}
		starts[*topic.Topic], to[*topic.Topic] = make(map[int32]int64), make(map[int32]int64)
		for _, p := range topic.Partitions {
			starts[*topic.Topic][p.Partition], to[*topic.Topic][p.Partition] = 0, 0
		}
	}
	if len(to) == 0 {
		return nil, nil, fmt.Errorf("there is no topic %s", topics)
	}
	const earliest, latest = -2, -1
	if err := errors.Join(offsets(ctx, client, earliest, starts), offsets(ctx, client, latest, to)); err != nil {
		return nil, nil, err
	}
	a.report.Topics = len(to)
	from = make(map[string]map[int32]kgo.Offset)
	for topic, partitions := range to {
		from[topic] = make(map[int32]kgo.Offset)
		for p, end := range partitions {
			a.report.Partitions++
			if start := starts[topic][p]; start < end {
				from[topic][p] = kgo.NewOffset().At(start)
			} else {
				delete(partitions, p)
			}
		}
	}
	return from, to, nil
}

// offsets replaces each value by the partition's offset of that time.
func offsets(ctx context.Context, client *kgo.Client, when int64, of ends) error {
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1
	for topic, partitions := range of {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for number := range partitions {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp = number, when
			t.Partitions = append(t.Partitions, p)
		}
		request.Topics = append(request.Topics, t)
	}
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("ask for offsets: %w", err)
	}
	for _, topic := range response.Topics {
		for _, p := range topic.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("offsets of partition %d of topic %s: %w", p.Partition, topic.Topic, err)
			}
			of[topic.Topic][p.Partition] = p.Offset
		}
	}
	return nil
}

// An audit is what was read so far.
type audit struct {
	report Report
	files  map[owner]*seen
	joints []joint
}

// owner is a file of a host.
type owner struct {
	host  string
	inode uint64
	birth int64
}

func ownerOf(host string, p sink.Place) owner { return owner{host, p.Inode, p.Birth} }

func (o owner) file() string { return fmt.Sprintf("%x-%x", o.inode, o.birth) }

// seen is what records hold of a file.
type seen struct {
	spans spans
	newer map[partition]int64 // offset of the newest line, by the partition
}

// joint says that the first line of a file comes after the end of another one.
type joint struct {
	first, before owner
	end           int64
}

// read reads each partition up to its end.
func (a *audit) read(ctx context.Context, client *kgo.Client, to ends) error {
	left := 0
	for _, partitions := range to {
		left += len(partitions)
	}
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, e := range fetches.Errors() {
			return fmt.Errorf("read partition %d of topic %s: %w", e.Partition, e.Topic, e.Err)
		}
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			end, wanted := to[f.Topic][f.Partition]
			for _, r := range f.Records {
				if !wanted || r.Offset >= end {
					break
				}
				a.record(r)
				if r.Offset == end-1 {
					delete(to[f.Topic], f.Partition)
					left--
				}
			}
		})
	}
	return nil
}

// record takes note of one record.
func (a *audit) record(r *kgo.Record) {
	if r.Attrs.IsControl() {
		return
	}
	var k key
	var after sink.Place
	known, joined := false, false
	for _, h := range r.Headers {
		switch h.Key {
		case HeaderPlace:
			k, known = parseKey(h.Value)
		case HeaderAfter:
			after, joined = parsePlace(h.Value)
		}
	}
	if !known {
		a.report.Foreign++
		return
	}
	at := k.at
	whose := ownerOf(k.host, at)
	s := a.files[whose]
	if s == nil {
		s = &seen{newer: make(map[partition]int64)}
		a.files[whose] = s
	}
	if s.spans.add(at.Offset, at.Offset+k.size) {
		a.report.Duplicates++
		return
	}
	a.report.Lines++
	where := partition{r.Topic, r.Partition}
	if newest, ok := s.newer[where]; ok && at.Offset < newest {
		a.report.Disordered++
	} else {
		s.newer[where] = at.Offset
	}
	before := ownerOf(k.host, after)
	if joined && before == whose && after.Offset < at.Offset {
		s.spans.add(after.Offset, at.Offset) // empty lines: there is nothing to send of those
	} else if joined && before != whose {
		a.joints = append(a.joints, joint{whose, before, after.Offset})
	}
}

// conclude looks for gaps.
func (a *audit) conclude() {
	hosts := make(map[string]bool)
	gap := func(of owner, from, to int64) {
		a.report.Gaps = append(a.report.Gaps, Gap{of.host, of.file(), from, to})
		a.report.Missing += to - from
	}
	a.report.Files = len(a.files)
	for of, s := range a.files {
		hosts[of.host] = true
		for i := 1; i < len(s.spans); i++ {
			gap(of, s.spans[i-1].to, s.spans[i].from)
		}
	}
	a.report.Hosts = len(hosts)
	for _, j := range a.joints {
		switch s := a.files[j.before]; {
		case s == nil && j.end > 0:
			a.report.Unseen = append(a.report.Unseen, Gap{j.before.host, j.before.file(), 0, j.end})
		case s != nil && s.spans.end() < j.end:
			gap(j.before, s.spans.end(), j.end)
		}
		if s := a.files[j.first]; s.spans[0].from > 0 {
			gap(j.first, 0, s.spans[0].from)
		}
	}
	slices.SortFunc(a.report.Gaps, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.File, b.File), cmp.Compare(a.From, b.From))
	})
	a.report.Gaps = slices.Compact(a.report.Gaps)
}
