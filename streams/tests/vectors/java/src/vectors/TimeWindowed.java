package vectors;

import static vectors.Dsl.*;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.UnlimitedWindows;

/** Tumbling, hopping and unlimited windows. */
final class TimeWindowed {
    private TimeWindowed() {
    }

    static TimeWindows of(long size, long grace) {
        return TimeWindows.ofSizeAndGrace(ms(size), ms(grace));
    }

    static KGroupedStream<String, String> grouped(StreamsBuilder builder) {
        return builder.<String, String>stream("in").groupByKey();
    }

    private static Scenario counted(String name, String says) {
        return Scenario.named(name, says).input("in").output("out", Format.WINDOW, Format.LONG);
    }

    private static Scenario joined(String name, String says) {
        return Scenario.named(name, says).input("in").output("out", Format.WINDOW, Format.TEXT);
    }

    static List<Scenario> all() {
        return List.of(
            counted("tumbling-count", "records per key and 10 ms, grace 5 ms")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 5)).count(windowCounts("counts")), "out", LONG)),
            counted("tumbling-count-no-grace", "records per key and 10 ms, no grace")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 0)).count(windowCounts("counts")), "out", LONG)),
            Scenario.named("tumbling-count-rekeyed", "records per group of values and 10 ms, through a repartition topic, grace 5 ms")
                .input(new Scenario.Input("in").nulls(8, 0)).output("out", Format.WINDOW, Format.LONG).withoutDropped()
                .build(builder -> windowsTo(builder.<String, String>stream("in").groupBy((key, value) -> group(value), Grouped.as("counts"))
                    .windowedBy(of(10, 5)).count(windowCounts("counts")), "out", LONG)),
            counted("hopping-count", "records per key and 10 ms every 4 ms, grace 8 ms")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 8).advanceBy(ms(4))).count(windowCounts("counts")), "out", LONG)).seeds(10, 28),
            joined("hopping-aggregate", "values joined by + per 10 ms every 5 ms, grace 20 ms, a value divisible by 5 deletes")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 20).advanceBy(ms(5)))
                    .aggregate(() -> "0", (key, value, soFar) -> addOrDelete(soFar, value), windows("joined")), "out", TEXT)),
            joined("tumbling-aggregate", "values joined by + per 20 ms, grace 10 ms")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(20, 10))
                    .aggregate(() -> "0", (key, value, soFar) -> add(soFar, value), windows("joined")), "out", TEXT)),
            Scenario.named("tumbling-reduce", "values joined by + per 15 ms, grace 10 ms, a value divisible by 5 deletes; no null values")
                .input(new Scenario.Input("in").nulls(4, 0)).output("out", Format.WINDOW, Format.TEXT)
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(15, 10)).reduce(Dsl::addOrDelete, windows("reduced")), "out", TEXT)),
            joined("tumbling-reduce-null-values", "as tumbling-reduce, with null values")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(15, 10)).reduce(Dsl::addOrDelete, windows("reduced")), "out", TEXT)),
            counted("unlimited-count", "records per key since time 120 ms")
                .build(builder -> windowsTo(grouped(builder).windowedBy(UnlimitedWindows.of().startOn(Instant.ofEpochMilli(120)))
                    .count(windowCounts("counts").withRetention(Duration.ofMillis(Long.MAX_VALUE))), "out", LONG)),
            counted("tumbling-count-on-close", "records per key and 10 ms, grace 5 ms, said once when the window closes")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 5)).emitStrategy(EmitStrategy.onWindowClose())
                    .count(windowCounts("counts")), "out", LONG)),
            joined("hopping-aggregate-on-close", "values joined by + per 10 ms every 4 ms, grace 3 ms, said once when the window closes; a value divisible by 5 deletes")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 3).advanceBy(ms(4))).emitStrategy(EmitStrategy.onWindowClose())
                    .aggregate(() -> "0", (key, value, soFar) -> addOrDelete(soFar, value), windows("joined")), "out", TEXT)),
            counted("tumbling-count-on-close-no-grace", "records per key and 10 ms, no grace, said once when the window closes")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 0)).emitStrategy(EmitStrategy.onWindowClose())
                    .count(windowCounts("counts")), "out", LONG))
        );
    }
}
