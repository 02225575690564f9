package vectors;

import java.util.ArrayList;
import java.util.List;

/** What a case does next: a record for a topic, or the wall clock moves on. */
record Step(String topic, String key, String value, long timestamp, List<String> headers) {
    /** Stands in a step's place of the topic when only time passes. */
    static final String WALL_CLOCK = "+";

    static Step wallClock(long ms) {
        return new Step(WALL_CLOCK, null, null, ms, List.of());
    }

    boolean isWallClock() {
        return topic.equals(WALL_CLOCK);
    }

    /** {@code [topic, key, value, timestamp]} with headers {@code [name, value, name, value…]} behind where there are any, or {@code ["+", ms]}. */
    List<Object> line() {
        if (isWallClock()) {
            return List.of(WALL_CLOCK, timestamp);
        }
        return line(topic, key, value, timestamp, headers);
    }

    static List<Object> line(String topic, String key, String value, long timestamp, List<String> headers) {
        List<Object> line = new ArrayList<>();
        line.add(topic);
        line.add(key);
        line.add(value);
        line.add(timestamp);
        if (!headers.isEmpty()) {
            line.add(headers);
        }
        return line;
    }
}
