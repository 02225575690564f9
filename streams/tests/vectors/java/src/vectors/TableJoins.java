package vectors;

import static vectors.Dsl.*;
import static vectors.Tables.table;

import java.util.List;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KTable;

/** Tables joined by key. */
final class TableJoins {
    private TableJoins() {
    }

    private static Scenario scenario(String name, String says) {
        return Scenario.named(name, says).input("left").input("right").output("out").seeds(12, 32);
    }

    private static KTable<String, Long> counts(StreamsBuilder builder, String topic) {
        return builder.<String, String>stream(topic).groupByKey().count(longs(topic + "-counts"));
    }

    static List<Scenario> all() {
        return List.of(
            scenario("table-join-inner", "two tables, inner")
                .build(builder -> textsTo(table(builder, "left").join(table(builder, "right"), Dsl::pair), "out")),
            scenario("table-join-left", "two tables, left")
                .build(builder -> textsTo(table(builder, "left").leftJoin(table(builder, "right"), Dsl::pair), "out")),
            scenario("table-join-outer", "two tables, outer")
                .build(builder -> textsTo(table(builder, "left").outerJoin(table(builder, "right"), Dsl::pair), "out")),
            scenario("table-join-inner-stored", "two tables, inner, with a store of its own")
                .store("joined", Format.TEXT)
                .build(builder -> textsTo(table(builder, "left").join(table(builder, "right"), Dsl::pair, texts("joined")), "out")),
            scenario("table-join-outer-stored", "two tables, outer, with a store of its own")
                .store("joined", Format.TEXT)
                .build(builder -> textsTo(table(builder, "left").outerJoin(table(builder, "right"), Dsl::pair, texts("joined")), "out")),
            scenario("table-join-of-views", "a filtered table with a mapped one, left: both looked up through tables that are not stored")
                .build(builder -> textsTo(table(builder, "left").filter((key, value) -> even(value))
                    .leftJoin(table(builder, "right").mapValues(Dsl::group), Dsl::pair), "out")),
            scenario("table-join-chain", "three tables: inner, then outer")
                .input("third")
                .build(builder -> textsTo(table(builder, "left").join(table(builder, "right"), Dsl::pair)
                    .outerJoin(table(builder, "third"), Dsl::pair), "out")),
            scenario("table-join-grouped", "a left join, then counted per group of the left value: the join's old values")
                .store("counts", Format.LONG)
                .build(builder -> longsTo(table(builder, "left").leftJoin(table(builder, "right"), (left, right) -> left + (right == null ? "0" : "1"))
                    .groupBy((key, value) -> KeyValue.pair(group(value), value), Grouped.with("grouped", TEXT, TEXT)).count(longs("counts")), "out"))
                .output("out", Format.TEXT, Format.LONG),
            Scenario.named("table-join-self", "a table with a view of itself, inner").input("in").output("out")
                .build(builder -> {
                    KTable<String, String> in = table(builder, "in");
                    textsTo(in.join(in.filter((key, value) -> even(value)), Dsl::pair), "out");
                }),
            scenario("table-join-counts", "two counts, outer")
                .build(builder -> textsTo(counts(builder, "left").outerJoin(counts(builder, "right"), Dsl::pair), "out"))
        );
    }
}
