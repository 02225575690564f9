package vectors;

import static vectors.Dsl.*;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;
import vectors.Scenario.Input;

/** Processors of one's own, with stores and punctuators. */
final class Processors {
    private Processors() {
    }

    private static void addStore(StreamsBuilder builder) {
        builder.addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("seen"), TEXT, LONG));
    }

    static List<Scenario> all() {
        return List.of(
            Scenario.named("processor-store", "value#n for the nth record of a key; null keys pass; a null value forgets the key and forwards nothing")
                .input("in").output("out").seeds(8, 28)
                .build(builder -> {
                    addStore(builder);
                    builder.<String, String>stream("in").process(Numbered::new, "seen").to("out");
                }),
            Scenario.named("processor-values", "previous>value per key, keys fixed")
                .input(new Input("in").nulls(0, 10)).output("out").seeds(8, 28)
                .build(builder -> {
                    builder.addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("last"), TEXT, TEXT));
                    builder.<String, String>stream("in").processValues(Previous::new, "last").to("out");
                }),
            Scenario.named("processor-stream-time", "counts per key, forwarded and forgotten every 10 ms of stream time")
                .input(new Input("in").nulls(0, 5)).output("out", Format.TEXT, Format.LONG)
                .build(builder -> {
                    addStore(builder);
                    builder.<String, String>stream("in").process(() -> new Punctuated(10, PunctuationType.STREAM_TIME), "seen")
                        .to("out", org.apache.kafka.streams.kstream.Produced.with(TEXT, LONG));
                }),
            Scenario.named("processor-wall-clock", "counts per key, forwarded and forgotten every 25 ms by the wall clock")
                .input(new Input("in").nulls(0, 5)).output("out", Format.TEXT, Format.LONG).wallClock(30, 40)
                .build(builder -> {
                    addStore(builder);
                    builder.<String, String>stream("in").process(() -> new Punctuated(25, PunctuationType.WALL_CLOCK_TIME), "seen")
                        .to("out", org.apache.kafka.streams.kstream.Produced.with(TEXT, LONG));
                }),
            Scenario.named("processor-records", "two records for each, one 5 ms later with another key; header h0 removed, header n added")
                .input(new Input("in").headers(40)).output("out").seeds(8, 28)
                .build(builder -> builder.<String, String>stream("in").process(Twice::new).to("out"))
        );
    }

    private static final class Numbered implements Processor<String, String, String, String> {
        private ProcessorContext<String, String> context;
        private KeyValueStore<String, Long> seen;

        @Override
        public void init(ProcessorContext<String, String> context) {
            this.context = context;
            this.seen = context.getStateStore("seen");
        }

        @Override
        public void process(Record<String, String> record) {
            if (record.key() == null) {
                context.forward(record);
            } else if (record.value() == null) {
                seen.delete(record.key());
            } else {
                Long before = seen.get(record.key());
                long number = before == null ? 1 : before + 1;
                seen.put(record.key(), number);
                context.forward(record.withValue(record.value() + "#" + number));
            }
        }
    }

    private static final class Previous implements FixedKeyProcessor<String, String, String> {
        private FixedKeyProcessorContext<String, String> context;
        private KeyValueStore<String, String> last;

        @Override
        public void init(FixedKeyProcessorContext<String, String> context) {
            this.context = context;
            this.last = context.getStateStore("last");
        }

        @Override
        public void process(FixedKeyRecord<String, String> record) {
            String before = last.get(record.key());
            last.put(record.key(), record.value());
            context.forward(record.withValue(before + ">" + record.value()));
        }
    }

    private static final class Punctuated implements Processor<String, String, String, Long> {
        private final long everyMs;
        private final PunctuationType type;
        private ProcessorContext<String, Long> context;
        private KeyValueStore<String, Long> seen;

        Punctuated(long everyMs, PunctuationType type) {
            this.everyMs = everyMs;
            this.type = type;
        }

        @Override
        public void init(ProcessorContext<String, Long> context) {
            this.context = context;
            this.seen = context.getStateStore("seen");
            context.schedule(Duration.ofMillis(everyMs), type, this::punctuate);
        }

        @Override
        public void process(Record<String, String> record) {
            Long before = seen.get(record.key());
            seen.put(record.key(), before == null ? 1 : before + 1);
        }

        /** Forwards the time itself under the key {@code time}, then the counts. */
        private void punctuate(long timestamp) {
            context.forward(new Record<>("time", timestamp, timestamp));
            List<KeyValue<String, Long>> entries = new ArrayList<>();
            try (KeyValueIterator<String, Long> all = seen.all()) {
                all.forEachRemaining(entries::add);
            }
            for (KeyValue<String, Long> entry : entries) {
                context.forward(new Record<>(entry.key, entry.value, timestamp));
                seen.delete(entry.key);
            }
        }
    }

    private static final class Twice implements Processor<String, String, String, String> {
        private ProcessorContext<String, String> context;

        @Override
        public void init(ProcessorContext<String, String> context) {
            this.context = context;
        }

        @Override
        public void process(Record<String, String> record) {
            record.headers().remove("h0");
            record.headers().add("n", "1".getBytes());
            context.forward(record);
            context.forward(record.withKey("later").withTimestamp(record.timestamp() + 5));
        }
    }
}
