package vectors;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.ValueAndTimestamp;
import org.apache.kafka.streams.test.TestRecord;

/** One case: a topology fed with the steps of a seed. Gives the lines that go into the file. */
final class Run {
    private Run() {
    }

    static List<String> lines(Scenario scenario, List<Step> steps, boolean cached, boolean inMemory, Path stateDir) {
        StreamsBuilder builder = new StreamsBuilder();
        scenario.build.accept(builder);
        Properties settings = settings(scenario, cached, inMemory, stateDir);
        List<String> lines = new ArrayList<>();
        try (TopologyTestDriver driver = new TopologyTestDriver(builder.build(settings), settings, Instant.ofEpochMilli(0))) {
            for (Step step : steps) {
                apply(scenario, driver, step);
                List<Object> line = new ArrayList<>();
                line.add(step.line());
                scenario.outputs.forEach((topic, formats) -> collect(driver, topic, formats, line));
                lines.add(Json.of(line));
            }
            scenario.stores.forEach((store, formats) -> lines.add(holds(driver, store, formats)));
            if (scenario.countsDropped) {
                lines.add(Json.of(Map.of("dropped", dropped(driver))));
            }
        }
        return lines;
    }

    private static Properties settings(Scenario scenario, boolean cached, boolean inMemory, Path stateDir) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "vectors");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "unused:9092");
        settings.put(StreamsConfig.STATE_DIR_CONFIG, stateDir.toString());
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, cached ? "10485760" : "0");
        if (inMemory) {
            settings.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG,
                "org.apache.kafka.streams.state.BuiltInDslStoreSuppliers$InMemoryDslStoreSuppliers");
        }
        // What a join or a closed window has to say is said at once, not once a second of wall-clock time.
        settings.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_OUTER_JOIN_SPURIOUS_RESULTS_FIX, 0L);
        settings.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0L);
        settings.putAll(scenario.settings);
        return settings;
    }

    private static void apply(Scenario scenario, TopologyTestDriver driver, Step step) {
        if (step.isWallClock()) {
            driver.advanceWallClockTime(Duration.ofMillis(step.timestamp()));
            return;
        }
        Scenario.Input input = scenario.inputs.stream().filter(found -> found.topic.equals(step.topic())).findFirst().orElseThrow();
        TestInputTopic<byte[], byte[]> topic = driver.createInputTopic(step.topic(), new ByteArraySerializer(), new ByteArraySerializer());
        Headers headers = new RecordHeaders();
        for (int at = 0; at < step.headers().size(); at += 2) {
            headers.add(step.headers().get(at), step.headers().get(at + 1).getBytes(StandardCharsets.UTF_8));
        }
        topic.pipeInput(new TestRecord<>(Format.TEXT.bytes(step.key()), input.value.bytes(step.value()), headers, step.timestamp()));
    }

    private static void collect(TopologyTestDriver driver, String topic, Scenario.Formats formats, List<Object> line) {
        TestOutputTopic<byte[], byte[]> output = driver.createOutputTopic(topic, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        for (TestRecord<byte[], byte[]> record : output.readRecordsToList()) {
            List<String> headers = new ArrayList<>();
            for (Header header : record.headers()) {
                headers.add(header.key());
                headers.add(header.value() == null ? null : new String(header.value(), StandardCharsets.UTF_8));
            }
            line.add(Step.line(topic, formats.key().text(record.key()), formats.value().text(record.value()), record.timestamp(), headers));
        }
    }

    /** {@code {"store": name, "holds": [[key, value]…]}} in the order of keys. */
    private static String holds(TopologyTestDriver driver, String store, Scenario.Formats formats) {
        List<Object> entries = new ArrayList<>();
        KeyValueStore<Object, ValueAndTimestamp<Object>> found = driver.getTimestampedKeyValueStore(store);
        try (KeyValueIterator<Object, ValueAndTimestamp<Object>> all = found.all()) {
            while (all.hasNext()) {
                KeyValue<Object, ValueAndTimestamp<Object>> entry = all.next();
                entries.add(List.of(entry.key.toString(), entry.value.value().toString()));
            }
        }
        return "{\"store\":" + Json.of(store) + ",\"holds\":" + Json.of(entries) + "}";
    }

    /** What Kafka Streams counts as dropped records, over all tasks. */
    private static long dropped(TopologyTestDriver driver) {
        return driver.metrics().values().stream()
            .filter(metric -> metric.metricName().name().equals("dropped-records-total"))
            .mapToLong(metric -> ((Double) ((Metric) metric).metricValue()).longValue())
            .sum();
    }
}
