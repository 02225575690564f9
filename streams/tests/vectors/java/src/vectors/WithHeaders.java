package vectors;

import static vectors.Dsl.*;
import static vectors.Tables.table;
import static org.apache.kafka.streams.kstream.Suppressed.BufferConfig.unbounded;
import static org.apache.kafka.streams.kstream.Suppressed.untilTimeLimit;

import java.util.List;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TableJoined;
import vectors.Scenario.Input;

/** Which headers results carry. */
final class WithHeaders {
    private WithHeaders() {
    }

    private static Scenario one(String name, String says) {
        return Scenario.named(name, says).input(new Input("in").headers(45)).seeds(6, 24).withoutDropped();
    }

    private static Scenario two(String name, String says) {
        return Scenario.named(name, says).input(new Input("left").headers(45)).input(new Input("right").headers(45)).seeds(6, 28).withoutDropped();
    }

    private static void streamJoin(StreamsBuilder builder, boolean outer) {
        KStream<String, String> left = builder.stream("left");
        KStream<String, String> right = builder.stream("right");
        JoinWindows windows = JoinWindows.ofTimeDifferenceAndGrace(ms(8), ms(3));
        StreamJoined<String, String, String> joined = StreamJoined.with(TEXT, TEXT, TEXT).withName("j").withStoreName("j");
        (outer ? left.outerJoin(right, Dsl::pair, windows, joined) : left.join(right, Dsl::pair, windows, joined)).to("out");
    }

    static List<Scenario> all() {
        return List.of(
            one("headers-aggregates", "headers of a count, a reduction, and a count through a repartition topic")
                .output("counts", Format.TEXT, Format.LONG).output("reduced").output("rekeyed", Format.TEXT, Format.LONG)
                .build(builder -> {
                    KStream<String, String> in = builder.stream("in");
                    longsTo(in.groupByKey().count(longs("counts")), "counts");
                    textsTo(in.groupByKey().reduce(Dsl::addOrDelete, texts("reduced")), "reduced");
                    longsTo(in.groupBy((key, value) -> group(value), Grouped.as("rekeyed")).count(longs("rekeyed")), "rekeyed");
                }),
            one("headers-windows", "headers of a tumbling count and of hopping windows")
                .output("tumbling", Format.WINDOW, Format.LONG).output("hopping", Format.WINDOW, Format.TEXT)
                .build(builder -> {
                    KStream<String, String> in = builder.stream("in");
                    windowsTo(in.groupByKey().windowedBy(TimeWindowed.of(10, 5)).count(windowCounts("tumbling")), "tumbling", LONG);
                    windowsTo(in.groupByKey().windowedBy(TimeWindowed.of(10, 5).advanceBy(ms(5)))
                        .aggregate(() -> "0", (key, value, soFar) -> add(soFar, value), windows("hopping")), "hopping", TEXT);
                }),
            one("headers-sessions", "headers of sessions")
                .output("open", Format.SESSION, Format.LONG)
                .build(builder -> {
                    KStream<String, String> in = builder.stream("in");
                    sessionsTo(in.groupByKey().windowedBy(SessionWindowed.of(5, 5)).count(sessionCounts("open", 10)), "open", LONG);
                }),
            one("headers-tables", "headers of a table, a view, a stored view, a stream as a table, a group of a table, a table held back")
                .output("table").output("view").output("stored").output("grouped", Format.TEXT, Format.LONG).output("held")
                .build(builder -> {
                    KTable<String, String> table = table(builder, "in");
                    textsTo(table, "table");
                    textsTo(table.filter((key, value) -> even(value)), "view");
                    textsTo(table.mapValues(Dsl::group, texts("stored")), "stored");
                    longsTo(table.groupBy((key, value) -> KeyValue.pair(group(value), value), Grouped.with("grouped", TEXT, TEXT)).count(longs("grouped")), "grouped");
                    textsTo(table.suppress(untilTimeLimit(ms(6), unbounded()).withName("held")), "held");
                }),
            two("headers-stream-join-inner", "headers of two streams joined within 8 ms").output("out")
                .build(builder -> streamJoin(builder, false)),
            two("headers-stream-join-outer", "headers of two streams joined within 8 ms, outer").output("out")
                .build(builder -> streamJoin(builder, true)),
            two("headers-table-joins", "headers of two tables joined by key and by a key in the value").output("by-key").output("by-value")
                .build(builder -> {
                    KTable<String, String> left = table(builder, "left");
                    KTable<String, String> right = table(builder, "right");
                    textsTo(left.outerJoin(right, Dsl::pair), "by-key");
                    textsTo(left.leftJoin(right, value -> even(value) ? "a" : "b", Dsl::pair, TableJoined.as("fk")), "by-value");
                }),
            two("headers-stream-table", "headers of a stream with a table, left").output("out")
                .build(builder -> builder.<String, String>stream("left").leftJoin(table(builder, "right"), Dsl::pair, Joined.as("j")).to("out"))
        );
    }
}
