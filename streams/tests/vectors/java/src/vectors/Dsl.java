package vectors;

import java.time.Duration;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.WindowStore;

/** What the topologies of the catalogue share. The Rust side has the same functions. */
final class Dsl {
    static final Serde<String> TEXT = Serdes.String();
    static final Serde<Long> LONG = Serdes.Long();

    private Dsl() {
    }

    static Duration ms(long ms) {
        return Duration.ofMillis(ms);
    }

    static Consumed<String, Long> longs() {
        return Consumed.with(TEXT, LONG);
    }

    static Materialized<String, String, KeyValueStore<Bytes, byte[]>> texts(String store) {
        return Materialized.<String, String, KeyValueStore<Bytes, byte[]>>as(store).withKeySerde(TEXT).withValueSerde(TEXT);
    }

    static Materialized<String, Long, KeyValueStore<Bytes, byte[]>> longs(String store) {
        return Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as(store).withKeySerde(TEXT).withValueSerde(LONG);
    }

    // Kafka Streams' stores forget windows by the start of the newest one: with the retention it chooses by itself, a window may be gone before it
    // is emitted on close. An hour keeps that out of the recordings.
    static Materialized<String, String, WindowStore<Bytes, byte[]>> windows(String store) {
        return Materialized.<String, String, WindowStore<Bytes, byte[]>>as(store).withKeySerde(TEXT).withValueSerde(TEXT).withRetention(ms(3_600_000));
    }

    static Materialized<String, Long, WindowStore<Bytes, byte[]>> windowCounts(String store) {
        return Materialized.<String, Long, WindowStore<Bytes, byte[]>>as(store).withKeySerde(TEXT).withValueSerde(LONG).withRetention(ms(3_600_000));
    }

    // Sessions: a millisecond more than the gap and the grace, which Kafka Streams takes by itself and then forgets those that still may be met.
    static Materialized<String, String, SessionStore<Bytes, byte[]>> sessions(String store, long gapAndGrace) {
        return Materialized.<String, String, SessionStore<Bytes, byte[]>>as(store).withKeySerde(TEXT).withValueSerde(TEXT).withRetention(ms(gapAndGrace + 1));
    }

    static Materialized<String, Long, SessionStore<Bytes, byte[]>> sessionCounts(String store, long gapAndGrace) {
        return Materialized.<String, Long, SessionStore<Bytes, byte[]>>as(store).withKeySerde(TEXT).withValueSerde(LONG).withRetention(ms(gapAndGrace + 1));
    }

    static void textsTo(KTable<String, String> table, String topic) {
        table.toStream().to(topic, Produced.with(TEXT, TEXT));
    }

    static void longsTo(KTable<String, Long> table, String topic) {
        table.toStream().to(topic, Produced.with(TEXT, LONG));
    }

    static <V> void windowsTo(KTable<Windowed<String>, V> table, String topic, Serde<V> value) {
        table.toStream().to(topic, Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, 1), value));
    }

    static <V> void sessionsTo(KTable<Windowed<String>, V> table, String topic, Serde<V> value) {
        table.toStream().to(topic, Produced.with(WindowedSerdes.sessionWindowedSerdeFrom(String.class), value));
    }

    /** The number in a value such as {@code i12}; 0 for null. */
    static int number(String value) {
        return value == null ? 0 : Integer.parseInt(value.substring(1));
    }

    static boolean even(String value) {
        return number(value) % 2 == 0;
    }

    /** The group of a value: {@code m0}, {@code m1} or {@code m2}; null for null. */
    static String group(String value) {
        return value == null ? null : "m" + number(value) % 3;
    }

    /** {@code so far+value}, begun anew when it grows long. */
    static String add(String soFar, String value) {
        return soFar == null || soFar.length() > 20 ? value : soFar + "+" + value;
    }

    /** As {@link #add}, but a value divisible by 5 deletes. */
    static String addOrDelete(String soFar, String value) {
        return number(value) % 5 == 0 ? null : add(soFar, value);
    }

    static String pair(Object left, Object right) {
        return left + "/" + right;
    }
}
