package vectors;

import static vectors.Dsl.*;
import static vectors.TimeWindowed.grouped;

import java.util.List;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.SlidingWindows;

/** Sliding windows. */
final class SlidingWindowed {
    private SlidingWindowed() {
    }

    private static SlidingWindows of(long difference, long grace) {
        return SlidingWindows.ofTimeDifferenceAndGrace(ms(difference), ms(grace));
    }

    private static Scenario counted(String name, String says) {
        return Scenario.named(name, says).input("in").output("out", Format.WINDOW, Format.LONG).withoutDropped();
    }

    private static Scenario joined(String name, String says) {
        return Scenario.named(name, says).input("in").output("out", Format.WINDOW, Format.TEXT);
    }

    static List<Scenario> all() {
        return List.of(
            counted("sliding-count", "records at most 10 ms apart, grace 20 ms")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 20)).count(windowCounts("counts")), "out", LONG)),
            counted("sliding-count-no-grace", "records at most 10 ms apart, no grace")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 0)).count(windowCounts("counts")), "out", LONG)),
            Scenario.named("sliding-count-rekeyed", "records of a group of values at most 8 ms apart, through a repartition topic, grace 5 ms")
                .input(new Scenario.Input("in").nulls(8, 0)).output("out", Format.WINDOW, Format.LONG).withoutDropped()
                .build(builder -> windowsTo(builder.<String, String>stream("in").groupBy((key, value) -> group(value), Grouped.as("counts"))
                    .windowedBy(of(8, 5)).count(windowCounts("counts")), "out", LONG)),
            joined("sliding-aggregate", "values joined by + that are at most 10 ms apart, grace 30 ms")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 30))
                    .aggregate(() -> "0", (key, value, soFar) -> add(soFar, value), windows("joined")), "out", TEXT)),
            joined("sliding-reduce", "values joined by + that are at most 5 ms apart, grace 50 ms")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(5, 50)).reduce(Dsl::add, windows("reduced")), "out", TEXT)),
            joined("sliding-aggregate-deletes", "as sliding-aggregate, a value divisible by 5 deletes")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 30))
                    .aggregate(() -> "0", (key, value, soFar) -> addOrDelete(soFar, value), windows("joined")), "out", TEXT)),
            counted("sliding-count-on-close", "records at most 10 ms apart, grace 5 ms, said once when the window closes")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 5)).emitStrategy(EmitStrategy.onWindowClose())
                    .count(windowCounts("counts")), "out", LONG))
        );
    }
}
