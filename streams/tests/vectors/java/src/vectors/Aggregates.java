package vectors;

import static vectors.Dsl.*;

import java.util.List;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KTable;
import vectors.Scenario.Input;

/** Grouped streams without windows. */
final class Aggregates {
    private Aggregates() {
    }

    static List<Scenario> all() {
        return List.of(
            Scenario.named("count", "records per key")
                .input("in").output("out", Format.TEXT, Format.LONG).store("counts", Format.LONG)
                .build(builder -> longsTo(builder.<String, String>stream("in").groupByKey().count(longs("counts")), "out")),
            Scenario.named("count-rekeyed", "records per group of values, through a repartition topic")
                .withoutDropped().input("in").output("out", Format.TEXT, Format.LONG).store("counts", Format.LONG)
                .build(builder -> longsTo(builder.<String, String>stream("in")
                    .groupBy((key, value) -> group(value), Grouped.as("counts")).count(longs("counts")), "out")),
            Scenario.named("reduce", "values joined by +, a value divisible by 5 deletes")
                .input("in").output("out").store("reduced", Format.TEXT)
                .build(builder -> textsTo(builder.<String, String>stream("in").groupByKey().reduce(Dsl::addOrDelete, texts("reduced")), "out")),
            Scenario.named("aggregate", "values joined by + behind a 0, a value divisible by 5 deletes")
                .input("in").output("out").store("joined", Format.TEXT)
                .build(builder -> textsTo(builder.<String, String>stream("in").groupByKey()
                    .aggregate(() -> "0", (key, value, soFar) -> addOrDelete(soFar, value), texts("joined")), "out")),
            Scenario.named("count-of-counts", "how many updates of counts were even and odd: an aggregate of an aggregate's updates, through a repartition topic")
                .input("in").output("out", Format.TEXT, Format.LONG).store("counts", Format.LONG).store("parities", Format.LONG)
                .build(builder -> longsTo(builder.<String, String>stream("in").groupByKey().count(longs("counts"))
                    .toStream().groupBy((key, count) -> count % 2 == 0 ? "even" : "odd", Grouped.with("parities", TEXT, LONG))
                    .count(longs("parities")), "out")),
            Scenario.named("count-views", "a count filtered and mapped, with and without tombstones").cached()
                .input("in").output("even", Format.TEXT, Format.LONG).output("tens", Format.TEXT, Format.LONG).store("counts", Format.LONG)
                .build(builder -> {
                    KTable<String, Long> counts = builder.<String, String>stream("in").groupByKey().count(longs("counts"));
                    longsTo(counts.filter((key, count) -> count % 2 == 0), "even");
                    longsTo(counts.mapValues(count -> count * 10), "tens");
                })
        );
    }
}
