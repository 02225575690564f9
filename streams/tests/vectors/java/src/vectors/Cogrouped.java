package vectors;

import static vectors.Dsl.*;

import java.util.List;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Aggregator;
import org.apache.kafka.streams.kstream.CogroupedKStream;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.SlidingWindows;

/** Several streams in one aggregate. */
final class Cogrouped {
    private Cogrouped() {
    }

    private static final Aggregator<String, String, String> PLUS = (key, value, soFar) -> addOrDelete(soFar, value);
    private static final Aggregator<String, String, String> STAR = (key, value, soFar) -> soFar.length() > 20 ? "*" + value : soFar + "*" + value;

    private static Scenario scenario(String name, String says) {
        return Scenario.named(name, says).input("left").input("right").withoutDropped();
    }

    private static CogroupedKStream<String, String> both(StreamsBuilder builder) {
        KGroupedStream<String, String> left = builder.<String, String>stream("left").groupByKey();
        return left.cogroup(PLUS).cogroup(builder.<String, String>stream("right").groupByKey(), STAR);
    }

    static List<Scenario> all() {
        return List.of(
            scenario("cogroup", "two streams in one aggregate").output("out").store("cogrouped", Format.TEXT)
                .build(builder -> textsTo(both(builder).aggregate(() -> "0", texts("cogrouped")), "out")),
            scenario("cogroup-rekeyed", "as cogroup with a third stream that gets a new key, through a repartition topic")
                .input("third").output("out").store("cogrouped", Format.TEXT).seeds(12, 32)
                .build(builder -> textsTo(both(builder)
                    .cogroup(builder.<String, String>stream("third").groupBy((key, value) -> value == null ? null : even(value) ? "a" : "b", Grouped.as("third")), STAR)
                    .aggregate(() -> "0", texts("cogrouped")), "out")),
            scenario("cogroup-tumbling", "two streams in one aggregate per 10 ms, grace 500 ms").output("out", Format.WINDOW, Format.TEXT)
                .build(builder -> windowsTo(both(builder).windowedBy(TimeWindowed.of(10, 500)).aggregate(() -> "0", windows("cogrouped")), "out", TEXT)),
            scenario("cogroup-sliding", "two streams in one aggregate of records at most 10 ms apart, grace 500 ms").output("out", Format.WINDOW, Format.TEXT)
                .build(builder -> windowsTo(both(builder).windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(10), ms(500)))
                    .aggregate(() -> "0", windows("cogrouped")), "out", TEXT)),
            scenario("cogroup-session", "two streams in one aggregate per session with gaps of 5 ms, grace 500 ms").output("out", Format.SESSION, Format.TEXT)
                .build(builder -> sessionsTo(both(builder).windowedBy(SessionWindowed.of(5, 500))
                    .aggregate(() -> "0", (key, left, right) -> left + "&" + right, sessions("cogrouped", 505)), "out", TEXT))
        );
    }
}
