package vectors;

import static vectors.Dsl.*;

import java.util.List;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.ValueTransformerWithKey;
import org.apache.kafka.streams.processor.ProcessorContext;

/** Tables of topics and streams, filtered and mapped. */
final class Tables {
    private Tables() {
    }

    static KTable<String, String> table(StreamsBuilder builder, String topic) {
        return builder.table(topic, texts(topic + "-table"));
    }

    static List<Scenario> all() {
        return List.of(
            Scenario.named("table", "a topic as a table, its updates as a stream")
                .input("in").output("out").store("in-table", Format.TEXT)
                .build(builder -> textsTo(table(builder, "in"), "out")),
            Scenario.named("table-filter", "a filtered table, not stored")
                .input("in").output("out")
                .build(builder -> textsTo(table(builder, "in").filter((key, value) -> even(value)), "out")),
            Scenario.named("table-filter-stored", "a filtered table with a store of its own")
                .input("in").output("out").store("filtered", Format.TEXT)
                .build(builder -> textsTo(table(builder, "in").filter((key, value) -> even(value), texts("filtered")), "out")),
            Scenario.named("table-filter-chain", "filter, mapValues, filterNot: views of views, the last one stored")
                .input("in").output("out").store("last", Format.TEXT)
                .build(builder -> textsTo(table(builder, "in").filter((key, value) -> number(value) % 3 != 0)
                    .mapValues(value -> value + "0").filterNot((key, value) -> number(value) % 20 == 0, texts("last")), "out")),
            Scenario.named("table-map-values", "a mapped table, not stored")
                .input("in").output("out")
                .build(builder -> textsTo(table(builder, "in").mapValues(Dsl::group), "out")),
            Scenario.named("table-map-values-stored", "a mapped table with a store of its own")
                .input("in").output("out").store("mapped", Format.TEXT)
                .build(builder -> textsTo(table(builder, "in").mapValues(Dsl::group, texts("mapped")), "out")),
            Scenario.named("table-map-to-null", "a mapped table whose mapper may say null, not stored")
                .input("in").output("out")
                .build(builder -> textsTo(table(builder, "in").mapValues((key, value) -> even(value) ? null : pair(key, value)), "out")),
            Scenario.named("table-transform-values", "transformValues, which is also asked about null, stored and not")
                .input("in").output("plain").output("stored").store("transformed", Format.TEXT)
                .build(builder -> {
                    KTable<String, String> table = table(builder, "in");
                    textsTo(table.transformValues(Transformed::new), "plain");
                    textsTo(table.transformValues(Transformed::new, texts("transformed")), "stored");
                }),
            Scenario.named("to-table", "a stream as a table")
                .input("in").output("out").store("table", Format.TEXT)
                .build(builder -> textsTo(builder.<String, String>stream("in").toTable(texts("table")), "out")),
            Scenario.named("to-table-rekeyed", "a stream with a new key as a table, through a repartition topic").withoutDropped()
                .input("in").output("out").store("table", Format.TEXT)
                .build(builder -> textsTo(builder.<String, String>stream("in")
                    .selectKey((key, value) -> group(value)).repartition(Repartitioned.as("by-group")).toTable(texts("table")), "out"))
        );
    }

    /** {@code key/value}, tombstones included. */
    private static final class Transformed implements ValueTransformerWithKey<String, String, String> {
        @Override
        public void init(ProcessorContext context) {
        }

        @Override
        public String transform(String key, String value) {
            return value == null ? null : pair(key, value);
        }

        @Override
        public void close() {
        }
    }
}
