package vectors;

import static vectors.Dsl.*;

import java.util.List;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.CogroupedKStream;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.TimeWindows;

/** Where an operator's time is not that of the records read: behind filters, null keys, repartition topics, with several inputs. */
final class OperatorTimes {
    private OperatorTimes() {
    }

    private static Scenario scenario(String name, String says) {
        return Scenario.named("time-" + name, says).withoutDropped();
    }

    /** Half of the records pass, and nulls are as new as others. */
    private static Scenario.Input filtered(String topic) {
        return new Scenario.Input(topic).nulls(8, 0);
    }

    private static Scenario counted(String name, String says) {
        return scenario(name, says).input(filtered("in")).output("out", Format.WINDOW, Format.LONG).nullsMoveTime();
    }

    private static Scenario sessions(String name, String says) {
        return scenario(name, says).input(filtered("in")).output("out", Format.SESSION, Format.LONG).nullsMoveTime();
    }

    private static Scenario rekeyed(String name, String says) {
        return scenario(name, says + ", through a repartition topic").input(filtered("in")).output("out", Format.WINDOW, Format.LONG).nullsMoveTime();
    }

    private static Scenario joined(String name, String says) {
        return scenario(name, says).input("left").input("right").output("out").seeds(12, 36).nullsMoveTime();
    }

    private static Scenario cogrouped(String name, String says) {
        return scenario(name, says).input(new Scenario.Input("left").weight(4)).input("right").seeds(12, 36).nullsMoveTime();
    }

    private static KStream<String, String> even(StreamsBuilder builder, String topic) {
        return builder.<String, String>stream(topic).filter((key, value) -> Dsl.even(value));
    }

    private static KGroupedStream<String, String> grouped(StreamsBuilder builder) {
        return even(builder, "in").groupByKey();
    }

    private static KGroupedStream<String, String> regrouped(StreamsBuilder builder) {
        return even(builder, "in").groupBy((key, value) -> group(value), Grouped.as("counts"));
    }

    private static TimeWindows of(long size, long grace) {
        return TimeWindowed.of(size, grace);
    }

    private static SlidingWindows apart(long difference, long grace) {
        return SlidingWindows.ofTimeDifferenceAndGrace(ms(difference), ms(grace));
    }

    private static SessionWindows gaps(long gap, long grace) {
        return SessionWindowed.of(gap, grace);
    }

    private static JoinWindows within(long difference, long grace) {
        return JoinWindows.ofTimeDifferenceAndGrace(ms(difference), ms(grace));
    }

    private static StreamJoined<String, String, String> named(String name) {
        return StreamJoined.with(TEXT, TEXT, TEXT).withName(name).withStoreName(name);
    }

    private static KStream<String, String> byGroup(StreamsBuilder builder) {
        return builder.<String, String>stream("in").selectKey((key, value) -> group(value)).repartition(Repartitioned.as("by-group"));
    }

    private static CogroupedKStream<String, String> both(StreamsBuilder builder) {
        KGroupedStream<String, String> left = builder.<String, String>stream("left").groupByKey();
        return left.<String>cogroup((key, value, soFar) -> addOrDelete(soFar, value))
            .cogroup(builder.<String, String>stream("right").groupByKey(), (key, value, soFar) -> addOrDelete(soFar, value));
    }

    static List<Scenario> all() {
        EmitStrategy onClose = EmitStrategy.onWindowClose();
        return List.of(
            counted("filter-tumbling", "even values per key and 10 ms, no grace")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 0)).count(windowCounts("counts")), "out", LONG)),
            counted("filter-tumbling-grace", "even values per key and 10 ms, grace 5 ms")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 5)).count(windowCounts("counts")), "out", LONG)),
            counted("filter-hopping", "even values per key and 10 ms every 4 ms, grace 3 ms")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 3).advanceBy(ms(4))).count(windowCounts("counts")), "out", LONG)),
            counted("filter-sliding", "even values at most 10 ms apart, no grace")
                .build(builder -> windowsTo(grouped(builder).windowedBy(apart(10, 0)).count(windowCounts("counts")), "out", LONG)),
            counted("filter-sliding-grace", "even values at most 10 ms apart, grace 6 ms")
                .build(builder -> windowsTo(grouped(builder).windowedBy(apart(10, 6)).count(windowCounts("counts")), "out", LONG)),
            sessions("filter-session", "even values per key and session with gaps of 5 ms, no grace")
                .build(builder -> sessionsTo(grouped(builder).windowedBy(gaps(5, 0)).count(sessionCounts("counts", 3_600_000)), "out", LONG)),
            sessions("filter-session-grace", "even values per key and session with gaps of 5 ms, grace 10 ms")
                .build(builder -> sessionsTo(grouped(builder).windowedBy(gaps(5, 10)).count(sessionCounts("counts", 3_600_000)), "out", LONG)),
            counted("filter-tumbling-on-close", "even values per key and 10 ms, grace 5 ms, said once when the window closes")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 5)).emitStrategy(onClose).count(windowCounts("counts")), "out", LONG)),
            counted("filter-hopping-on-close", "even values per key and 10 ms every 4 ms, no grace, said once when the window closes")
                .build(builder -> windowsTo(grouped(builder).windowedBy(of(10, 0).advanceBy(ms(4))).emitStrategy(onClose)
                    .count(windowCounts("counts")), "out", LONG)),
            counted("filter-sliding-on-close", "even values at most 10 ms apart, grace 5 ms, said once when the window closes")
                .build(builder -> windowsTo(grouped(builder).windowedBy(apart(10, 5)).emitStrategy(onClose).count(windowCounts("counts")), "out", LONG)),
            sessions("filter-session-on-close", "even values per key and session with gaps of 5 ms, grace 5 ms, said once when the session closes").orderly()
                .build(builder -> sessionsTo(grouped(builder).windowedBy(gaps(5, 5)).emitStrategy(onClose)
                    .count(sessionCounts("counts", 3_600_000)), "out", LONG)),
            scenario("null-keys-tumbling", "records per key and 10 ms, no grace; many with a null key").input(new Scenario.Input("in").nulls(30, 30))
                .output("out", Format.WINDOW, Format.LONG).nullsMoveTime()
                .build(builder -> windowsTo(builder.<String, String>stream("in").groupByKey().windowedBy(of(10, 0)).count(windowCounts("counts")), "out", LONG)),
            scenario("nulls-sliding", "records at most 10 ms apart, no grace; many with a null key or value").input(new Scenario.Input("in").nulls(25, 25))
                .output("out", Format.WINDOW, Format.LONG).nullsMoveTime()
                .build(builder -> windowsTo(builder.<String, String>stream("in").groupByKey().windowedBy(apart(10, 0)).count(windowCounts("counts")), "out", LONG)),
            scenario("null-keys-session", "records per key and session with gaps of 5 ms, no grace; many with a null key").input(new Scenario.Input("in").nulls(30, 10))
                .output("out", Format.SESSION, Format.LONG).nullsMoveTime()
                .build(builder -> sessionsTo(builder.<String, String>stream("in").groupByKey().windowedBy(gaps(5, 0))
                    .count(sessionCounts("counts", 3_600_000)), "out", LONG)),
            cogrouped("cogroup-tumbling", "two streams, one of them with few records, in one aggregate per 10 ms, no grace").output("out", Format.WINDOW, Format.TEXT)
                .build(builder -> windowsTo(both(builder).windowedBy(of(10, 0)).aggregate(() -> "0", windows("cogrouped")), "out", TEXT)),
            cogrouped("cogroup-sliding", "two streams, one of them with few records, in one aggregate of records at most 10 ms apart, grace 3 ms")
                .output("out", Format.WINDOW, Format.TEXT)
                .build(builder -> windowsTo(both(builder).windowedBy(apart(10, 3)).aggregate(() -> "0", windows("cogrouped")), "out", TEXT)),
            cogrouped("cogroup-session", "two streams, one of them with few records, in one aggregate per session with gaps of 5 ms, no grace")
                .output("out", Format.SESSION, Format.TEXT)
                .build(builder -> sessionsTo(both(builder).windowedBy(gaps(5, 0))
                    .aggregate(() -> "0", (key, left, right) -> left + "&" + right, Dsl.sessions("cogrouped", 3_600_000)), "out", TEXT)),
            joined("join-filtered-inner", "even values of two streams within 8 ms, inner, no grace")
                .build(builder -> even(builder, "left").join(even(builder, "right"), Dsl::pair, within(8, 0), named("j")).to("out")),
            joined("join-filtered-left", "even values of two streams within 10 ms, left, grace 5 ms")
                .build(builder -> even(builder, "left").leftJoin(even(builder, "right"), Dsl::pair, within(10, 5), named("j")).to("out")),
            joined("join-filtered-outer", "even values of two streams within 10 ms, outer, no grace")
                .build(builder -> even(builder, "left").outerJoin(even(builder, "right"), Dsl::pair, within(10, 0), named("j")).to("out")),
            rekeyed("rekeyed-tumbling", "even values per group and 10 ms, no grace")
                .build(builder -> windowsTo(regrouped(builder).windowedBy(of(10, 0)).count(windowCounts("counts")), "out", LONG)),
            rekeyed("rekeyed-hopping", "even values per group and 10 ms every 4 ms, grace 3 ms")
                .build(builder -> windowsTo(regrouped(builder).windowedBy(of(10, 3).advanceBy(ms(4))).count(windowCounts("counts")), "out", LONG)),
            rekeyed("rekeyed-sliding", "even values of a group at most 10 ms apart, grace 4 ms")
                .build(builder -> windowsTo(regrouped(builder).windowedBy(apart(10, 4)).count(windowCounts("counts")), "out", LONG)),
            scenario("rekeyed-session", "even values per group and session with gaps of 4 ms, no grace, through a repartition topic")
                .input(filtered("in")).output("out", Format.SESSION, Format.LONG).nullsMoveTime()
                .build(builder -> sessionsTo(regrouped(builder).windowedBy(gaps(4, 0)).count(sessionCounts("counts", 3_600_000)), "out", LONG)),
            rekeyed("rekeyed-tumbling-on-close", "even values per group and 10 ms, grace 5 ms, said once when the window closes")
                .build(builder -> windowsTo(regrouped(builder).windowedBy(of(10, 5)).emitStrategy(onClose).count(windowCounts("counts")), "out", LONG)),
            rekeyed("rekeyed-suppress", "even values per group and 10 ms, grace 5 ms, until windows close")
                .build(builder -> windowsTo(regrouped(builder).windowedBy(of(10, 5)).count(windowCounts("counts"))
                    .suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded()).withName("final")), "out", LONG)),
            scenario("rekeyed-join-left", "even values with odd ones of their group within 10 ms, left, grace 5 ms, both out of one repartition topic")
                .input(filtered("in")).output("out").seeds(12, 36).nullsMoveTime()
                .build(builder -> {
                    KStream<String, String> all = byGroup(builder);
                    all.filter((key, value) -> Dsl.even(value)).leftJoin(all.filter((key, value) -> !Dsl.even(value)), Dsl::pair, within(10, 5), named("j")).to("out");
                }),
            scenario("rekeyed-join-outer", "even values with odd ones of their group within 6 ms, outer, no grace, both out of one repartition topic")
                .input(filtered("in")).output("out").seeds(12, 36).nullsMoveTime()
                .build(builder -> {
                    KStream<String, String> all = byGroup(builder);
                    all.filter((key, value) -> Dsl.even(value)).outerJoin(all.filter((key, value) -> !Dsl.even(value)), Dsl::pair, within(6, 0), named("j")).to("out");
                })
        );
    }
}
