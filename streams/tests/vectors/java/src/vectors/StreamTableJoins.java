package vectors;

import static vectors.Dsl.*;
import static vectors.Tables.table;

import java.util.List;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import vectors.Scenario.Input;

/** Streams joined with tables and global tables. */
final class StreamTableJoins {
    private StreamTableJoins() {
    }

    private static Scenario scenario(String name, String says) {
        return Scenario.named(name, says).input(new Input("stream").nulls(10, 10)).input(new Input("table").nulls(4, 15)).output("out").seeds(12, 32).withoutDropped();
    }

    private static KStream<String, String> stream(StreamsBuilder builder) {
        return builder.stream("stream");
    }

    private static GlobalKTable<String, String> global(StreamsBuilder builder) {
        return builder.globalTable("table", texts("global"));
    }

    static List<Scenario> all() {
        return List.of(
            scenario("stream-table-inner", "a stream with a table, inner")
                .build(builder -> stream(builder).join(table(builder, "table"), Dsl::pair, Joined.as("j")).to("out")),
            scenario("stream-table-left", "a stream with a table, left")
                .build(builder -> stream(builder).leftJoin(table(builder, "table"), Dsl::pair, Joined.as("j")).to("out")),
            scenario("stream-table-of-view", "a stream with a filtered and mapped table that is not stored, left")
                .build(builder -> stream(builder).leftJoin(table(builder, "table").filter((key, value) -> even(value)).mapValues(Dsl::group),
                    Dsl::pair, Joined.as("j")).to("out")),
            scenario("stream-table-of-count", "a stream with the count of another, left")
                .build(builder -> stream(builder).leftJoin(builder.<String, String>stream("table").groupByKey().count(longs("counts")),
                    Dsl::pair, Joined.with(TEXT, TEXT, LONG, "j")).to("out")),
            scenario("stream-table-rekeyed", "a stream with a new key, through a repartition topic, with a table of those keys, left")
                .build(builder -> stream(builder).selectKey((key, value) -> value == null ? null : even(value) ? "a" : "b")
                    .leftJoin(table(builder, "table"), (key, value, found) -> key + ":" + pair(value, found), Joined.with(TEXT, TEXT, TEXT, "j")).to("out")),
            scenario("stream-global-inner", "a stream with a global table by a key made from its value, inner")
                .build(builder -> stream(builder).join(global(builder), (key, value) -> value == null ? null : even(value) ? "a" : "b", Dsl::pair).to("out")),
            scenario("stream-global-left", "a stream with a global table by a key made from its value, left")
                .build(builder -> stream(builder).leftJoin(global(builder), (key, value) -> value == null ? null : even(value) ? "a" : "b", Dsl::pair).to("out")),
            scenario("stream-global-by-key", "a stream with a global table by its own key, left")
                .build(builder -> stream(builder).leftJoin(global(builder), (key, value) -> key, Dsl::pair).to("out"))
        );
    }
}
