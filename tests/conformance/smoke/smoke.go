// Smoke runs of Go clients: sarama, segmentio/kafka-go and franz-go. Arguments: HOST:PORT, what to try.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/IBM/sarama"
	kafka "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var bootstrap = os.Args[1]

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func value[T any](v T, err error) T {
	must(err)
	return v
}

func unique() string {
	var bytes [8]byte
	value(rand.Read(bytes[:]))
	return fmt.Sprintf("smoke-%x", bytes)
}

func numbered(prefix string, count int) (values []string) {
	for n := 0; n < count; n++ {
		values = append(values, fmt.Sprintf("%s%04d", prefix, n))
	}
	return
}

func same(found, expected []string) {
	sort.Strings(found)
	if strings.Join(found, " ") != strings.Join(expected, " ") {
		must(fmt.Errorf("expected %d values, found %d: %.200v", len(expected), len(found), found))
	}
}

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	return config
}

func saramaTopic(partitions int32) string {
	name := unique()
	admin := value(sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig()))
	must(admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false))
	must(admin.Close())
	return name
}

type saramaHandler struct {
	count int
	found []string
	done  context.CancelFunc
	lines chan string
}

func (*saramaHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*saramaHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (handler *saramaHandler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			session.MarkMessage(message, "")
			session.Commit()
			handler.lines <- string(message.Value)
		case <-session.Context().Done():
			return nil
		}
	}
}

func saramaConsume(topic, group string, count int, config *sarama.Config) []string {
	client := value(sarama.NewConsumerGroup([]string{bootstrap}, group, config))
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	handler := &saramaHandler{lines: make(chan string)}
	go func() {
		for ctx.Err() == nil {
			if err := client.Consume(ctx, []string{topic}, handler); err != nil && !errors.Is(err, sarama.ErrClosedConsumerGroup) {
				must(err)
			}
		}
	}()
	for len(handler.found) < count {
		select {
		case line := <-handler.lines:
			handler.found = append(handler.found, line)
		case <-ctx.Done():
			must(fmt.Errorf("%d of %d values in time", len(handler.found), count))
		}
	}
	cancel()
	must(client.Close())
	return handler.found
}

func saramaProduce(topic string, values []string, config *sarama.Config) {
	producer := value(sarama.NewSyncProducer([]string{bootstrap}, config))
	var messages []*sarama.ProducerMessage
	for _, v := range values {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(v), Value: sarama.StringEncoder(v)})
	}
	must(producer.SendMessages(messages))
	must(producer.Close())
}

func saramaGroup() {
	topic := saramaTopic(3)
	idempotent := saramaConfig()
	idempotent.Producer.Idempotent = true
	idempotent.Net.MaxOpenRequests = 1
	saramaProduce(topic, numbered("a", 300), idempotent)
	same(saramaConsume(topic, "g-"+topic, 300, saramaConfig()), numbered("a", 300))
	compressed := saramaConfig()
	compressed.Producer.Compression = sarama.CompressionZSTD
	saramaProduce(topic, numbered("b", 300), compressed)
	same(saramaConsume(topic, "g-"+topic, 300, saramaConfig()), numbered("b", 300))
}

func saramaTransactions() {
	source, target := saramaTopic(1), saramaTopic(1)
	config := saramaConfig()
	config.Producer.Idempotent = true
	config.Producer.Transaction.ID = "t-" + target
	config.Net.MaxOpenRequests = 1
	producer := value(sarama.NewSyncProducer([]string{bootstrap}, config))
	send := func(values []string) {
		must(producer.BeginTxn())
		for _, v := range values {
			_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: target, Value: sarama.StringEncoder(v)})
			must(err)
		}
	}
	send(numbered("aborted", 20))
	must(producer.AbortTxn())
	send(numbered("", 50))
	offsets := map[string][]*sarama.PartitionOffsetMetadata{source: {{Partition: 0, Offset: 7}}}
	must(producer.AddOffsetsToTxn(offsets, "g-"+source))
	must(producer.CommitTxn())
	must(producer.Close())
	committed := saramaConfig()
	committed.Consumer.IsolationLevel = sarama.ReadCommitted
	same(saramaConsume(target, "r-"+target, 50, committed), numbered("", 50))
	admin := value(sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig()))
	answer := value(admin.ListConsumerGroupOffsets("g-"+source, map[string][]int32{source: {0}}))
	if block := answer.GetBlock(source, 0); block == nil || block.Offset != 7 {
		must(fmt.Errorf("offset 7 was committed in the transaction, found %v", block))
	}
}

func kafkaGoGroup() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	topic := unique()
	connection := value(kafka.Dial("tcp", bootstrap))
	must(connection.CreateTopics(kafka.TopicConfig{Topic: topic, NumPartitions: 3, ReplicationFactor: 1}))
	must(connection.Close())
	for _, prefix := range []string{"a", "b"} {
		writer := &kafka.Writer{Addr: kafka.TCP(bootstrap), Topic: topic, Balancer: &kafka.Hash{}, RequiredAcks: kafka.RequireAll, BatchTimeout: 5 * time.Millisecond}
		if prefix == "b" {
			writer.Compression = kafka.Snappy
		}
		var messages []kafka.Message
		for _, v := range numbered(prefix, 300) {
			messages = append(messages, kafka.Message{Key: []byte(v), Value: []byte(v)})
		}
		must(writer.WriteMessages(ctx, messages...))
		must(writer.Close())
		reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{bootstrap}, GroupID: "g-" + topic, Topic: topic, StartOffset: kafka.FirstOffset, MaxWait: 500 * time.Millisecond})
		var found []string
		for len(found) < 300 {
			message := value(reader.FetchMessage(ctx))
			found = append(found, string(message.Value))
			must(reader.CommitMessages(ctx, message))
		}
		must(reader.Close())
		same(found, numbered(prefix, 300))
	}
}

func franzTopic(partitions int32) string {
	name := unique()
	client := value(kgo.NewClient(kgo.SeedBrokers(bootstrap)))
	defer client.Close()
	answer := value(kadm.NewClient(client).CreateTopic(context.Background(), partitions, 1, nil, name))
	must(answer.Err)
	return name
}

func franzConsume(topic, group string, count int, options ...kgo.Opt) (found []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	client := value(kgo.NewClient(append(options, kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...))
	defer client.Close()
	for len(found) < count {
		fetches := client.PollFetches(ctx)
		must(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) { found = append(found, string(record.Value)) })
	}
	must(client.CommitUncommittedOffsets(ctx))
	return
}

func franzProduce(topic string, values []string) {
	client := value(kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.DefaultProduceTopic(topic)))
	defer client.Close()
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, &kgo.Record{Key: []byte(v), Value: []byte(v)})
	}
	must(client.ProduceSync(context.Background(), records...).FirstErr())
}

func franzGroup(options ...kgo.Opt) {
	topic := franzTopic(3)
	for _, prefix := range []string{"a", "b"} {
		franzProduce(topic, numbered(prefix, 300))
		same(franzConsume(topic, "g-"+topic, 300, options...), numbered(prefix, 300))
	}
}

// Consume, transform, produce, commit: kgo's own session for it.
func franzTransactions() {
	source, target := franzTopic(3), franzTopic(3)
	franzProduce(source, numbered("", 200))
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	session := value(kgo.NewGroupTransactSession(kgo.SeedBrokers(bootstrap), kgo.TransactionalID("t-"+target), kgo.ConsumerGroup("g-"+source),
		kgo.ConsumeTopics(source), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets()))
	defer session.Close()
	for moved, round := 0, 0; moved < 200; round++ {
		fetches := session.PollFetches(ctx)
		must(fetches.Err())
		must(session.Begin())
		count := 0
		fetches.EachRecord(func(record *kgo.Record) {
			session.Produce(ctx, &kgo.Record{Topic: target, Value: record.Value}, func(_ *kgo.Record, err error) {
				if !errors.Is(err, kgo.ErrAborting) {
					must(err)
				}
			})
			count++
		})
		// The first round is thrown away: its records must come again and its output must stay hidden.
		commit := kgo.TryCommit
		if round == 0 {
			commit = kgo.TryAbort
		}
		if value(session.End(ctx, commit)) {
			moved += count
		}
	}
	same(franzConsume(target, "r-"+target, 200, kgo.FetchIsolationLevel(kgo.ReadCommitted())), numbered("", 200))
}

func main() {
	tries := map[string]func(){
		"sarama-group": saramaGroup, "sarama-transactions": saramaTransactions, "kafka-go-group": kafkaGoGroup,
		"franz-go-group": func() { franzGroup() }, "franz-go-transactions": franzTransactions,
	}
	try, known := tries[os.Args[2]]
	if !known {
		must(fmt.Errorf("no try %s", os.Args[2]))
	}
	try()
}
