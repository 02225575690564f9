package vectors;

import static vectors.Dsl.*;

import java.util.List;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.StreamJoined;

/** Streams joined in windows. */
final class StreamJoins {
    private StreamJoins() {
    }

    private static Scenario scenario(String name, String says) {
        return Scenario.named(name, says).input("left").input("right").output("out").seeds(12, 32).withoutDropped();
    }

    private static KStream<String, String> left(StreamsBuilder builder) {
        return builder.stream("left");
    }

    private static KStream<String, String> right(StreamsBuilder builder) {
        return builder.stream("right");
    }

    private static JoinWindows of(long difference, long grace) {
        return JoinWindows.ofTimeDifferenceAndGrace(ms(difference), ms(grace));
    }

    private static JoinWindows of(long before, long after, long grace) {
        return of(0, grace).before(ms(before)).after(ms(after));
    }

    private static StreamJoined<String, String, String> joined(String name) {
        return StreamJoined.with(TEXT, TEXT, TEXT).withName(name).withStoreName(name);
    }

    static List<Scenario> all() {
        return List.of(
            scenario("stream-join-inner", "two streams within 10 ms, inner, grace 20 ms")
                .build(builder -> left(builder).join(right(builder), Dsl::pair, of(10, 20), joined("j")).to("out")),
            scenario("stream-join-left", "two streams within 10 ms, left, grace 5 ms")
                .build(builder -> left(builder).leftJoin(right(builder), Dsl::pair, of(10, 5), joined("j")).to("out")),
            scenario("stream-join-outer", "two streams within 10 ms, outer, grace 5 ms")
                .build(builder -> left(builder).outerJoin(right(builder), Dsl::pair, of(10, 5), joined("j")).to("out")),
            scenario("stream-join-inner-no-grace", "two streams within 8 ms, inner, no grace")
                .build(builder -> left(builder).join(right(builder), Dsl::pair, of(8, 0), joined("j")).to("out")),
            scenario("stream-join-left-no-grace", "two streams within 8 ms, left, no grace")
                .build(builder -> left(builder).leftJoin(right(builder), Dsl::pair, of(8, 0), joined("j")).to("out")),
            scenario("stream-join-outer-no-grace", "two streams within 8 ms, outer, no grace")
                .build(builder -> left(builder).outerJoin(right(builder), Dsl::pair, of(8, 0), joined("j")).to("out")),
            scenario("stream-join-inner-asymmetric", "the right one up to 3 ms before and 12 ms after the left, inner, grace 5 ms")
                .build(builder -> left(builder).join(right(builder), Dsl::pair, of(3, 12, 5), joined("j")).to("out")),
            scenario("stream-join-left-asymmetric", "the right one up to 12 ms before and 3 ms after the left, left, grace 5 ms")
                .build(builder -> left(builder).leftJoin(right(builder), Dsl::pair, of(12, 3, 5), joined("j")).to("out")),
            scenario("stream-join-outer-asymmetric", "the right one up to 2 ms before and 15 ms after the left, outer, grace 3 ms")
                .build(builder -> left(builder).outerJoin(right(builder), Dsl::pair, of(2, 15, 3), joined("j")).to("out")),
            scenario("stream-join-left-before-only", "the right one up to 10 ms before the left and never after, left, no grace")
                .build(builder -> left(builder).leftJoin(right(builder), Dsl::pair, of(10, 0, 0), joined("j")).to("out")),
            scenario("stream-join-outer-after-only", "the right one up to 10 ms after the left and never before, outer, grace 4 ms")
                .build(builder -> left(builder).outerJoin(right(builder), Dsl::pair, of(0, 10, 4), joined("j")).to("out")),
            scenario("stream-join-same-time", "two streams at the same millisecond, outer, grace 10 ms")
                .build(builder -> left(builder).outerJoin(right(builder), Dsl::pair, of(0, 10), joined("j")).to("out")),
            scenario("stream-join-with-key", "as stream-join-inner, the key shown to the joiner")
                .build(builder -> left(builder).join(right(builder), (key, left, right) -> key + ":" + pair(left, right), of(10, 20), joined("j")).to("out")),
            Scenario.named("stream-join-rekeyed", "both streams with a new key, through repartition topics, inner, grace 500 ms")
                .input(new Scenario.Input("left").nulls(8, 0)).input(new Scenario.Input("right").nulls(8, 0)).output("out").seeds(12, 32).withoutDropped()
                .build(builder -> left(builder).selectKey((key, value) -> group(value))
                    .join(right(builder).selectKey((key, value) -> group(value)), Dsl::pair, of(10, 500), joined("j")).to("out")),
            Scenario.named("stream-join-self", "a stream with itself within 6 ms, inner, grace 10 ms").input("left").output("out").withoutDropped()
                .build(builder -> {
                    KStream<String, String> left = left(builder);
                    left.join(left, Dsl::pair, of(6, 10), joined("j")).to("out");
                }),
            scenario("stream-join-chain", "three streams: inner within 10 ms, then left within 5 ms, grace 5 ms")
                .input("third")
                .build(builder -> left(builder).join(right(builder), Dsl::pair, of(10, 5), joined("j"))
                    .leftJoin(builder.<String, String>stream("third"), Dsl::pair, of(5, 5), joined("k")).to("out"))
        );
    }
}
