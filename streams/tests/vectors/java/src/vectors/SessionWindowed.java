package vectors;

import static vectors.Dsl.*;
import static vectors.TimeWindowed.grouped;

import java.util.List;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.SessionWindows;

/** Session windows. */
final class SessionWindowed {
    private SessionWindowed() {
    }

    static SessionWindows of(long gap, long grace) {
        return SessionWindows.ofInactivityGapAndGrace(ms(gap), ms(grace));
    }

    private static Scenario counted(String name, String says) {
        return Scenario.named(name, says).input("in").output("out", Format.SESSION, Format.LONG);
    }

    private static Scenario joined(String name, String says) {
        return Scenario.named(name, says).input("in").output("out", Format.SESSION, Format.TEXT);
    }

    static List<Scenario> all() {
        return List.of(
            counted("session-count", "records per key and session with gaps of 5 ms, grace 15 ms")
                .build(builder -> sessionsTo(grouped(builder).windowedBy(of(5, 15)).count(sessionCounts("counts", 20)), "out", LONG)),
            counted("session-count-no-grace", "records per key and session with gaps of 5 ms, no grace")
                .build(builder -> sessionsTo(grouped(builder).windowedBy(of(5, 0)).count(sessionCounts("counts", 5)), "out", LONG)),
            Scenario.named("session-count-rekeyed", "records per group of values and session with gaps of 3 ms, through a repartition topic, grace 5 ms")
                .input(new Scenario.Input("in").nulls(8, 0)).output("out", Format.SESSION, Format.LONG).withoutDropped()
                .build(builder -> sessionsTo(builder.<String, String>stream("in").groupBy((key, value) -> group(value), Grouped.as("counts"))
                    .windowedBy(of(3, 5)).count(sessionCounts("counts", 8)), "out", LONG)),
            joined("session-aggregate", "values joined by +, sessions by &, gaps of 6 ms, grace 30 ms")
                .build(builder -> sessionsTo(grouped(builder).windowedBy(of(6, 30))
                    .aggregate(() -> "0", (key, value, soFar) -> add(soFar, value), (key, left, right) -> left + "&" + right, sessions("joined", 36)), "out", TEXT)),
            joined("session-aggregate-deletes", "as session-aggregate, a value divisible by 5 deletes")
                .build(builder -> sessionsTo(grouped(builder).windowedBy(of(6, 30))
                    .aggregate(() -> "0", (key, value, soFar) -> addOrDelete(soFar, value), (key, left, right) -> left + "&" + right, sessions("joined", 36)), "out", TEXT)),
            joined("session-reduce", "values joined by +, gaps of 4 ms, grace 60 ms")
                .build(builder -> sessionsTo(grouped(builder).windowedBy(of(4, 60)).reduce(Dsl::add, sessions("reduced", 64)), "out", TEXT)),
            counted("session-count-on-close", "records per key and session with gaps of 5 ms, grace 5 ms, said once when the session closes").orderly()
                .build(builder -> sessionsTo(grouped(builder).windowedBy(of(5, 5)).emitStrategy(EmitStrategy.onWindowClose())
                    .count(sessionCounts("counts", 3_600_000)), "out", LONG))
        );
    }
}
