package beside;

import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/**
 * Runs one job of {@link Topologies} with Kafka Streams, as {@code jobs run} does with millpond: {@code JOB --connect HOST:PORT --records N --warm W --state DIR}. The same
 * lines on stdout: {@code running}, {@code first N} (the first commit), {@code warm N}, {@code end N}, N being the records committed since this process started;
 * {@code restored N} counts records. {@code --instance ID} makes it a static member of its group.
 */
public final class Job {
    private static final String APPLICATION = "beside";
    private static final long LOOK_MS = 10;

    private Job() {
    }

    static synchronized void tell(String line) {
        System.out.println(line);
        System.out.flush();
    }

    public static void main(String[] words) throws InterruptedException, IOException {
        Map<String, String> options = new HashMap<>();
        for (int index = 1; index + 1 < words.length; index += 2) {
            options.put(words[index].substring(2), words[index + 1]);
        }
        long records = Long.parseLong(options.get("records"));
        long warm = Long.parseLong(options.get("warm"));
        Restores restores = new Restores();
        CountDownLatch running = new CountDownLatch(1);
        try (Progress progress = new Progress(options.get("connect"), APPLICATION);
                KafkaStreams streams = new KafkaStreams(Topologies.of(words[0]), settings(options))) {
            streams.setGlobalStateRestoreListener(restores);
            streams.setStateListener((now, before) -> {
                if (now == KafkaStreams.State.RUNNING && running.getCount() > 0) {
                    running.countDown();
                    tell("running");
                }
            });
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            // Long before anything can be committed: a member has to join first.
            watch(progress, progress.committed(), warm, records);
            while (System.in.read() >= 0) {
                continue;
            }
            streams.close(Duration.ofMinutes(2));
            tell("restored " + restores.records());
        }
    }

    private static void watch(Progress progress, long before, long warm, long records) throws InterruptedException {
        boolean first = false;
        boolean warmed = false;
        while (true) {
            long now = progress.committed();
            if (!first && now > before) {
                first = true;
                tell("first " + (now - before));
            }
            if (!warmed && now - before >= warm) {
                warmed = true;
                tell("warm " + (now - before));
            }
            if (now >= records) {
                tell("end " + (now - before));
                return;
            }
            Thread.sleep(LOOK_MS);
        }
    }

    /** What millpond's side has too: exactly-once, two threads, a commit every 100 ms (with exactly-once the default). Everything else is as it comes. */
    private static Properties settings(Map<String, String> options) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, APPLICATION);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, options.get("connect"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, options.get("state"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        if (options.containsKey("instance")) {
            settings.put(StreamsConfig.mainConsumerPrefix("group.instance.id"), options.get("instance"));
        }
        return settings;
    }
}
