package vectors;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import org.apache.kafka.streams.StreamsBuilder;

/** A topology with the input to draw for it and the outputs and stores to write down. */
final class Scenario {
    /** Draws a value; {@code number} is the step's. */
    interface Values {
        String draw(Random random, int number);
    }

    static final class Input {
        final String topic;
        Format value = Format.TEXT;
        Values values;
        List<String> keys = List.of("a", "b", "c");
        int nullKeys = 4;
        int nullValues = 8;
        int headers;
        int weight = 1;

        Input(String topic) {
            this.topic = topic;
            String letter = topic.substring(0, 1);
            this.values = (random, number) -> letter + number;
        }

        Input keys(String... names) {
            keys = List.of(names);
            return this;
        }

        Input values(Values draw) {
            values = draw;
            return this;
        }

        /** Numbers from 0 to 9. */
        Input longs() {
            value = Format.LONG;
            values = (random, number) -> Integer.toString(random.nextInt(10));
            return this;
        }

        Input nulls(int keysPercent, int valuesPercent) {
            nullKeys = keysPercent;
            nullValues = valuesPercent;
            return this;
        }

        Input headers(int percent) {
            headers = percent;
            return this;
        }

        Input weight(int parts) {
            weight = parts;
            return this;
        }
    }

    record Formats(Format key, Format value) {
        String label() {
            return key.label + " " + value.label;
        }
    }

    final String name;
    final String says;
    final List<Input> inputs = new ArrayList<>();
    final Map<String, Formats> outputs = new LinkedHashMap<>();
    final Map<String, Formats> stores = new LinkedHashMap<>();
    final Map<String, String> settings = new LinkedHashMap<>();
    int seeds = 12;
    int steps = 28;
    int timeUnit = 1;
    boolean orderly;
    boolean nullsMoveTime;
    boolean countsDropped = true;
    boolean cached;
    int wallClockPercent;
    long wallClockMs = 1;
    Consumer<StreamsBuilder> build;
    /** The lines of a {@link Plan}; they go into the file's head. */
    List<String> plan;
    /** Steps that are written down instead of drawn, a case each. */
    List<List<Step>> given = List.of();

    private Scenario(String name, String says) {
        this.name = name;
        this.says = says;
    }

    /** {@code says} is one line about what the topology does, for readers of the file. */
    static Scenario named(String name, String says) {
        return new Scenario(name, says);
    }

    Scenario input(Input input) {
        inputs.add(input);
        return this;
    }

    Scenario input(String topic) {
        return input(new Input(topic));
    }

    Scenario output(String topic, Format key, Format value) {
        outputs.put(topic, new Formats(key, value));
        return this;
    }

    Scenario output(String topic) {
        return output(topic, Format.TEXT, Format.TEXT);
    }

    /** A key-value store whose last contents are written down. */
    Scenario store(String store, Format value) {
        stores.put(store, new Formats(Format.TEXT, value));
        return this;
    }

    Scenario seeds(int count, int stepsEach) {
        seeds = count;
        steps = stepsEach;
        return this;
    }

    /** In the order of time, whatever the seed. */
    Scenario orderly() {
        orderly = true;
        return this;
    }

    /** Records with a null may be the newest, too. */
    Scenario nullsMoveTime() {
        nullsMoveTime = true;
        return this;
    }

    /** How long a millisecond of the feed's clock is. */
    Scenario timeUnit(int ms) {
        timeUnit = ms;
        return this;
    }

    Scenario wallClock(int percent, long maxMs) {
        wallClockPercent = percent;
        wallClockMs = maxMs;
        return this;
    }

    /** Recorded with the record cache too, where Kafka Streams says something else without it that nobody should copy. */
    Scenario cached() {
        cached = true;
        return this;
    }

    /** Where Kafka Streams' count of dropped records is a matter of its stores or leaves some out, it is not written down. */
    Scenario withoutDropped() {
        countsDropped = false;
        return this;
    }

    Scenario setting(String key, String value) {
        settings.put(key, value);
        return this;
    }

    /** Built from a plan, which tells the topics too. */
    Scenario plan(List<String> lines) {
        plan = List.copyOf(lines);
        Plan.inputs(plan).forEach(this::input);
        Plan.outputs(plan).forEach(this::output);
        // Null keys at the door of a repartition topic are not counted by Kafka Streams, and out-of-order records of versioned tables not here.
        countsDropped = plan.stream().noneMatch(line -> line.matches(".* = (repartition|select-key|map|flat-map|foreign-join|group \\S+ \\S+) .*|.* versioned:.*"));
        return build(builder -> Plan.build(builder, plan));
    }

    Scenario given(List<List<Step>> cases) {
        given = cases;
        seeds = cases.size();
        return this;
    }

    Scenario build(Consumer<StreamsBuilder> build) {
        this.build = build;
        return this;
    }
}
