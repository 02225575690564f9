package vectors;

import static vectors.Dsl.*;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.kstream.Branched;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import vectors.Scenario.Input;

/** Operators without state, repartition topics and timestamps. */
final class Stateless {
    private Stateless() {
    }

    static List<Scenario> all() {
        return List.of(
            Scenario.named("stateless-values", "mapValues, mapValues with key, flatMapValues, filter, filterNot, peek")
                .input(new Input("in").nulls(15, 15).headers(15)).seeds(8, 28)
                .output("mapped").output("keyed").output("flat").output("kept").output("dropped")
                .build(builder -> {
                    KStream<String, String> in = builder.stream("in");
                    in.mapValues(value -> value == null ? "none" : value + "!").to("mapped");
                    in.mapValues((key, value) -> pair(key, value)).to("keyed");
                    in.flatMapValues(value -> value == null ? List.of() : Arrays.asList(value.split(""))).to("flat");
                    in.filter((key, value) -> even(value)).to("kept");
                    in.peek((key, value) -> { }).filterNot((key, value) -> even(value)).to("dropped");
                }),
            Scenario.named("stateless-keys", "map, flatMap, selectKey, two topics as one stream")
                .input(new Input("in").nulls(15, 15).headers(15)).input(new Input("other").nulls(15, 15)).seeds(8, 28)
                .output("swapped").output("twice").output("selected")
                .build(builder -> {
                    KStream<String, String> in = builder.stream(List.of("in", "other"));
                    in.map((key, value) -> KeyValue.pair(value, key)).to("swapped");
                    in.flatMap((key, value) -> List.of(KeyValue.pair(key, value), KeyValue.pair("x", key))).to("twice");
                    in.selectKey((key, value) -> group(value)).to("selected");
                }),
            Scenario.named("split", "split into branches with a default, two of them merged again; a split without a default; merge of two topics")
                .input(new Input("in").nulls(10, 20).headers(10)).input(new Input("other").nulls(10, 10)).seeds(8, 28)
                .output("nulls").output("merged").output("thirds").output("both")
                .build(builder -> {
                    KStream<String, String> in = builder.stream("in");
                    Map<String, KStream<String, String>> branches = in.split(Named.as("s-"))
                        .branch((key, value) -> value == null, Branched.as("nulls"))
                        .branch((key, value) -> even(value), Branched.as("even"))
                        .defaultBranch(Branched.as("odd"));
                    branches.get("s-nulls").to("nulls");
                    branches.get("s-even").merge(branches.get("s-odd").mapValues(value -> value + "?")).to("merged");
                    in.split(Named.as("t-"))
                        .branch((key, value) -> number(value) % 3 == 1, Branched.as("one")).noDefaultBranch()
                        .get("t-one").to("thirds");
                    in.merge(builder.stream("other")).to("both");
                }),
            Scenario.named("repartition", "a new key, through a repartition topic")
                .input(new Input("in").nulls(15, 15).headers(15)).seeds(8, 28)
                .output("out")
                .withoutDropped()
                .build(builder -> builder.<String, String>stream("in")
                    .selectKey((key, value) -> group(value)).repartition(Repartitioned.as("by-group")).to("out")),
            Scenario.named("topic-extractor", "each record names the topic it goes to")
                .input(new Input("in").nulls(10, 10).headers(10)).seeds(8, 28)
                .output("even").output("odd")
                .build(builder -> builder.<String, String>stream("in").to((key, value, context) -> even(value) ? "even" : "odd")),
            Scenario.named("timestamps-of-values", "event time from the value, records without a valid one left out, then a tumbling count of 10 ms")
                .input(new Input("in").longs().nulls(0, 8).values((random, number) -> Integer.toString(number * 3 + random.nextInt(30) - 15)))
                .output("times", Format.TEXT, Format.LONG).output("counts", Format.WINDOW, Format.LONG)
                .build(builder -> {
                    KStream<String, Long> in = builder.stream("in", longs().withTimestampExtractor(Stateless::valueTime));
                    in.to("times", Produced.with(TEXT, LONG));
                    windowsTo(in.groupByKey().windowedBy(TimeWindowed.of(10, 5)).count(windowCounts("counts")), "counts", LONG);
                }),
            Scenario.named("timestamps-of-partition", "event time from the value, and the partition's time for records without a valid one")
                .input(new Input("in").longs().values((random, number) -> Integer.toString(number == 0 ? 5 : number * 3 + random.nextInt(60) - 50)).nulls(4, 0))
                .output("times", Format.TEXT, Format.LONG).seeds(8, 28)
                .build(builder -> {
                    KStream<String, Long> in = builder.stream("in", longs().withTimestampExtractor((record, partitionTime) -> {
                        long time = valueTime(record, partitionTime);
                        return time < 0 ? partitionTime : time;
                    }));
                    in.to("times", Produced.with(TEXT, LONG));
                })
        );
    }

    private static long valueTime(ConsumerRecord<Object, Object> record, long partitionTime) {
        return record.value() == null ? record.timestamp() : (Long) record.value();
    }
}
