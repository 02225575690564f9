package vectors;

import static vectors.Dsl.*;

import java.util.List;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TableJoined;
import org.apache.kafka.streams.state.Stores;
import vectors.Scenario.Input;

/** Tables that remember their past. */
final class VersionedTables {
    private VersionedTables() {
    }

    private static KTable<String, String> versioned(StreamsBuilder builder, String topic, long historyMs) {
        return builder.table(topic, Materialized.<String, String>as(Stores.persistentVersionedKeyValueStore(topic + "-table", ms(historyMs)))
            .withKeySerde(TEXT).withValueSerde(TEXT));
    }

    private static Scenario joined(String name, String says) {
        return Scenario.named(name, says).input(new Input("stream").nulls(6, 8)).input(new Input("table").nulls(4, 15)).output("out").seeds(12, 32).withoutDropped();
    }

    private static Scenario single(String name, String says) {
        return Scenario.named(name, says).input("in").output("out").withoutDropped();
    }

    static List<Scenario> all() {
        return List.of(
            single("versioned-table", "a topic as a versioned table with 30 ms of history, its updates as a stream")
                .build(builder -> textsTo(versioned(builder, "in", 30), "out")),
            single("versioned-table-filter", "a versioned table filtered")
                .build(builder -> textsTo(versioned(builder, "in", 30).filter((key, value) -> even(value)), "out")),
            single("versioned-table-aggregate", "a versioned table grouped: out-of-order updates count for nothing").store("steps", Format.TEXT)
                .build(builder -> textsTo(versioned(builder, "in", 30)
                    .groupBy((key, value) -> KeyValue.pair(group(value), value), Grouped.with("grouped", TEXT, TEXT))
                    .aggregate(() -> "", (key, value, soFar) -> add(soFar, value),
                        (key, value, soFar) -> soFar.length() > 20 ? "-" + value : soFar + "-" + value, texts("steps")), "out")),
            joined("versioned-stream-table-inner", "a stream with a versioned table of 60 ms as it was then, inner")
                .build(builder -> builder.<String, String>stream("stream").join(versioned(builder, "table", 60), Dsl::pair, Joined.as("j")).to("out")),
            joined("versioned-stream-table-left", "a stream with a versioned table of 25 ms as it was then, left")
                .build(builder -> builder.<String, String>stream("stream").leftJoin(versioned(builder, "table", 25), Dsl::pair, Joined.as("j")).to("out")),
            joined("versioned-stream-table-inner-grace", "as versioned-stream-table-inner, the stream waiting 10 ms for the table")
                .build(builder -> builder.<String, String>stream("stream").join(versioned(builder, "table", 60), Dsl::pair,
                    Joined.with(TEXT, TEXT, TEXT, "j", ms(10))).to("out")),
            // Kafka Streams fails with null keys here.
            Scenario.named("versioned-stream-table-left-grace", "as versioned-stream-table-left, the stream waiting 5 ms for the table")
                .input(new Input("stream").nulls(0, 8)).input(new Input("table").nulls(4, 15)).output("out").seeds(12, 32).withoutDropped()
                .build(builder -> builder.<String, String>stream("stream").leftJoin(versioned(builder, "table", 25), Dsl::pair,
                    Joined.with(TEXT, TEXT, TEXT, "j", ms(5))).to("out")),
            Scenario.named("versioned-table-join", "two versioned tables, outer").input("left").input("right").output("out").seeds(12, 32).withoutDropped()
                .build(builder -> textsTo(versioned(builder, "left", 40).outerJoin(versioned(builder, "right", 40), Dsl::pair), "out")),
            Scenario.named("versioned-foreign-key", "two versioned tables, by a key in the left one's value, left")
                .input(new Input("left").keys("a", "b", "c", "d").values((random, number) -> "xyz".charAt(random.nextInt(3)) + Integer.toString(number % 10)))
                .input(new Input("right").keys("x", "y", "z").nulls(4, 20)).output("out").seeds(12, 32).withoutDropped()
                .build(builder -> textsTo(versioned(builder, "left", 40).leftJoin(versioned(builder, "right", 40),
                    value -> value.substring(0, 1), Dsl::pair, TableJoined.as("fk")), "out"))
        );
    }
}
