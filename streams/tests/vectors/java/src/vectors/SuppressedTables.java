package vectors;

import static vectors.Dsl.*;
import static vectors.TimeWindowed.grouped;
import static org.apache.kafka.streams.kstream.Suppressed.BufferConfig.maxRecords;
import static org.apache.kafka.streams.kstream.Suppressed.BufferConfig.unbounded;
import static org.apache.kafka.streams.kstream.Suppressed.untilTimeLimit;
import static org.apache.kafka.streams.kstream.Suppressed.untilWindowCloses;

import java.util.List;
import org.apache.kafka.streams.kstream.SlidingWindows;

/** Tables whose updates are held back. */
final class SuppressedTables {
    private SuppressedTables() {
    }

    private static Scenario scenario(String name, String says) {
        return Scenario.named(name, says).input("in");
    }

    static List<Scenario> all() {
        return List.of(
            scenario("suppress-tumbling", "a tumbling count of 10 ms, grace 5 ms, until windows close").output("out", Format.WINDOW, Format.LONG)
                .build(builder -> windowsTo(grouped(builder).windowedBy(TimeWindowed.of(10, 5)).count(windowCounts("counts"))
                    .suppress(untilWindowCloses(unbounded()).withName("final")), "out", LONG)),
            scenario("suppress-hopping", "a hopping aggregate of 10 ms every 4 ms, grace 3 ms, until windows close; a value divisible by 5 deletes")
                .output("out", Format.WINDOW, Format.TEXT)
                .build(builder -> windowsTo(grouped(builder).windowedBy(TimeWindowed.of(10, 3).advanceBy(ms(4)))
                    .aggregate(() -> "0", (key, value, soFar) -> addOrDelete(soFar, value), windows("joined"))
                    .suppress(untilWindowCloses(unbounded()).withName("final")), "out", TEXT)),
            scenario("suppress-session", "a session count with gaps of 5 ms, grace 5 ms, until sessions close").orderly().output("out", Format.SESSION, Format.LONG)
                .build(builder -> sessionsTo(grouped(builder).windowedBy(SessionWindowed.of(5, 5)).count(sessionCounts("counts", 10))
                    .suppress(untilWindowCloses(unbounded()).withName("final")), "out", LONG)),
            scenario("suppress-sliding", "a sliding count of 10 ms, grace 5 ms, until windows close").output("out", Format.WINDOW, Format.LONG)
                .build(builder -> windowsTo(grouped(builder).windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(10), ms(5))).count(windowCounts("counts"))
                    .suppress(untilWindowCloses(unbounded()).withName("final")), "out", LONG)),
            scenario("suppress-time-limit", "updates of a table held back for 10 ms").output("out")
                .build(builder -> textsTo(Tables.table(builder, "in").suppress(untilTimeLimit(ms(10), unbounded()).withName("held")), "out")),
            scenario("suppress-time-limit-records", "updates of a table held back for 30 ms, of at most two keys").output("out")
                .build(builder -> textsTo(Tables.table(builder, "in").suppress(untilTimeLimit(ms(30), maxRecords(2)).withName("held")), "out")),
            scenario("suppress-time-limit-windows", "a tumbling count of 10 ms, grace 20 ms, updates held back for 8 ms, of at most three windows")
                .output("out", Format.WINDOW, Format.LONG)
                .build(builder -> windowsTo(grouped(builder).windowedBy(TimeWindowed.of(10, 20)).count(windowCounts("counts"))
                    .suppress(untilTimeLimit(ms(8), maxRecords(3)).withName("held")), "out", LONG)),
            scenario("suppress-zero", "updates of a count held back for no time").output("out", Format.TEXT, Format.LONG)
                .build(builder -> longsTo(grouped(builder).count(longs("counts")).suppress(untilTimeLimit(ms(0), unbounded()).withName("held")), "out")),
            scenario("suppress-filtered", "a filtered table's updates held back for 6 ms: tombstones of entries nobody saw").output("out")
                .build(builder -> textsTo(Tables.table(builder, "in").filter((key, value) -> even(value))
                    .suppress(untilTimeLimit(ms(6), unbounded()).withName("held")), "out"))
        );
    }
}
