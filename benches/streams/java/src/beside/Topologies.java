package beside;

import java.time.Duration;
import java.util.Arrays;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.WindowStore;

/** The jobs of {@code jobs/job.rs} in Kafka Streams' words. Stores are its defaults: RocksDB, cached, with changelogs. */
final class Topologies {
    private static final Duration WINDOW = Duration.ofHours(1);
    private static final Duration GAP = Duration.ofSeconds(30);
    private static final Duration SESSION_GRACE = Duration.ofSeconds(10);
    private static final Duration APART = Duration.ofMinutes(1);
    private static final Serde<byte[]> BYTES = Serdes.ByteArray();

    private Topologies() {
    }

    static Topology of(String job) {
        StreamsBuilder builder = new StreamsBuilder();
        switch (job) {
            case "stateless" -> stateless(builder);
            case "windowed-count" -> windowedCount(builder);
            case "stream-join" -> streamJoin(builder);
            case "table-join" -> tableJoin(builder);
            case "sessions" -> sessions(builder);
            case "restart" -> restart(builder);
            default -> throw new IllegalArgumentException("there is no job " + job);
        }
        return builder.build();
    }

    private static void stateless(StreamsBuilder builder) {
        KStream<byte[], byte[]> input = builder.stream("in");
        input.mapValues(value -> Arrays.copyOf(value, value.length - 1))
            .filter((key, value) -> value[7] % 2 == 0)
            .to("out");
    }

    private static void windowedCount(StreamsBuilder builder) {
        KStream<byte[], byte[]> input = builder.stream("in");
        input.groupByKey()
            .windowedBy(TimeWindows.ofSizeWithNoGrace(WINDOW))
            .count(Materialized.<byte[], Long, WindowStore<Bytes, byte[]>>as("counts"))
            .toStream()
            .to("out", Produced.with(new WindowedSerdes.TimeWindowedSerde<>(BYTES, WINDOW.toMillis()), Serdes.Long()));
    }

    private static void streamJoin(StreamsBuilder builder) {
        KStream<byte[], byte[]> left = builder.stream("left");
        KStream<byte[], byte[]> right = builder.stream("right");
        left.join(right, Topologies::concat, JoinWindows.ofTimeDifferenceAndGrace(APART, APART), StreamJoined.with(BYTES, BYTES, BYTES).withName("pairs"))
            .to("out");
    }

    private static void tableJoin(StreamsBuilder builder) {
        KTable<byte[], byte[]> left = builder.table("left", Materialized.<byte[], byte[], KeyValueStore<Bytes, byte[]>>as("left-table"));
        KTable<byte[], byte[]> right = builder.table("right", Materialized.<byte[], byte[], KeyValueStore<Bytes, byte[]>>as("right-table"));
        left.join(right, Topologies::concat)
            .toStream()
            .to("out");
    }

    private static void sessions(StreamsBuilder builder) {
        KStream<byte[], byte[]> input = builder.stream("in");
        input.groupByKey()
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(GAP, SESSION_GRACE))
            .count(Materialized.<byte[], Long, SessionStore<Bytes, byte[]>>as("sessions"))
            .toStream()
            .to("out", Produced.with(new WindowedSerdes.SessionWindowedSerde<>(BYTES), Serdes.Long()));
    }

    private static void restart(StreamsBuilder builder) {
        KStream<byte[], byte[]> input = builder.stream("in");
        input.groupByKey()
            .reduce((before, now) -> now, Materialized.<byte[], byte[], KeyValueStore<Bytes, byte[]>>as("latest"))
            .toStream()
            .mapValues(value -> Arrays.copyOf(value, 8))
            .to("out");
    }

    private static byte[] concat(byte[] left, byte[] right) {
        byte[] both = Arrays.copyOf(left, left.length + right.length);
        System.arraycopy(right, 0, both, left.length, right.length);
        return both;
    }
}
