package vectors;

import static vectors.Dsl.*;

import java.util.List;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedTable;
import org.apache.kafka.streams.kstream.KTable;

/** Grouped tables: every update takes the old value out of its group and puts the new one into its own. */
final class TableAggregates {
    private TableAggregates() {
    }

    /** {@code so far-value}, begun anew when it grows long. */
    private static String subtract(String soFar, String value) {
        return soFar.length() > 20 ? "-" + value : soFar + "-" + value;
    }

    private static KGroupedTable<String, String> grouped(KTable<String, String> table) {
        return table.groupBy((key, value) -> KeyValue.pair(number(value) % 9 == 8 ? null : group(value), value), Grouped.with("grouped", TEXT, TEXT));
    }

    private static KTable<String, Long> numbers(StreamsBuilder builder) {
        return builder.table("in", longs(), longs("in-table"));
    }

    static List<Scenario> all() {
        return List.of(
            Scenario.named("table-count", "entries of a table per group of values; some belong to no group").withoutDropped()
                .input("in").output("out", Format.TEXT, Format.LONG).store("counts", Format.LONG)
                .build(builder -> longsTo(grouped(Tables.table(builder, "in")).count(longs("counts")), "out")),
            Scenario.named("table-reduce", "sum of a table's numbers per remainder by three")
                .input(new Scenario.Input("in").longs()).output("out", Format.TEXT, Format.LONG).store("sums", Format.LONG)
                .build(builder -> longsTo(numbers(builder)
                    .groupBy((key, value) -> KeyValue.pair("m" + value % 3, value), Grouped.with("grouped", TEXT, LONG))
                    .reduce(Long::sum, (sum, value) -> sum - value, longs("sums")), "out")),
            Scenario.named("table-reduce-to-null", "as table-reduce, where a sum of 0 is deleted")
                .input(new Scenario.Input("in").longs().nulls(4, 25)).output("out", Format.TEXT, Format.LONG).store("sums", Format.LONG)
                .build(builder -> longsTo(numbers(builder)
                    .groupBy((key, value) -> KeyValue.pair("m" + value % 3, value), Grouped.with("grouped", TEXT, LONG))
                    .reduce(TableAggregates::sumOrNull, (sum, value) -> sumOrNull(sum, -value), longs("sums")), "out")),
            Scenario.named("table-aggregate", "every addition and subtraction of a group in its order")
                .input("in").output("out").store("steps", Format.TEXT)
                .build(builder -> textsTo(grouped(Tables.table(builder, "in"))
                    .aggregate(() -> "", (key, value, soFar) -> add(soFar, value), (key, value, soFar) -> subtract(soFar, value), texts("steps")), "out")),
            Scenario.named("table-aggregate-same-key", "grouped by the key it has: both halves of an update in one record")
                .input("in").output("out").store("steps", Format.TEXT)
                .build(builder -> textsTo(Tables.table(builder, "in")
                    .groupBy(KeyValue::pair, Grouped.with("grouped", TEXT, TEXT))
                    .aggregate(() -> "", (key, value, soFar) -> add(soFar, value), (key, value, soFar) -> subtract(soFar, value), texts("steps")), "out")),
            Scenario.named("table-aggregate-of-views", "a filtered and mapped table grouped: old values through views that are not stored")
                .input("in").output("out").store("steps", Format.TEXT)
                .build(builder -> textsTo(grouped(Tables.table(builder, "in").filter((key, value) -> number(value) % 4 != 0).mapValues(value -> value + "1"))
                    .aggregate(() -> "", (key, value, soFar) -> add(soFar, value), (key, value, soFar) -> subtract(soFar, value), texts("steps")), "out")),
            Scenario.named("table-count-of-counts", "how many keys have an even and an odd count: a grouped table of an aggregate").cached()
                .input("in").output("out", Format.TEXT, Format.LONG).store("counts", Format.LONG).store("parities", Format.LONG)
                .build(builder -> longsTo(builder.<String, String>stream("in").groupByKey().count(longs("counts"))
                    .groupBy((key, count) -> KeyValue.pair(count % 2 == 0 ? "even" : "odd", count), Grouped.with("grouped", TEXT, LONG))
                    .count(longs("parities")), "out"))
        );
    }

    private static Long sumOrNull(Long sum, Long value) {
        long result = (sum == null ? 0 : sum) + value;
        return result == 0 ? null : result;
    }
}
