package vectors;

import static vectors.Dsl.*;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.function.BinaryOperator;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Branched;
import org.apache.kafka.streams.kstream.CogroupedKStream;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KGroupedTable;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.SessionWindowedCogroupedKStream;
import org.apache.kafka.streams.kstream.SessionWindowedKStream;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindowedCogroupedKStream;
import org.apache.kafka.streams.kstream.TimeWindowedKStream;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.UnlimitedWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * A topology told in lines of words, {@code name = operator argument…}: what stands in the head of a recording, so that both sides build the same from it. Keys and values
 * are text; windowed keys become {@code key@start} or {@code key@start..end} where a table turns into a stream. {@code README.md} lists the operators.
 */
final class Plan {
    private record Grouping(KGroupedStream<String, String> stream, CogroupedKStream<String, String> together) {
    }

    private record Windows(Grouping of, List<String> kind, boolean onClose) {
        long number(int place) {
            return Long.parseLong(kind.get(place));
        }

        boolean sessions() {
            return kind.get(0).equals("session");
        }

        <V> Materialized<String, V, WindowStore<Bytes, byte[]>> windowStore(Materialized<String, V, WindowStore<Bytes, byte[]>> stored) {
            return kind.get(0).equals("unlimited") ? stored.withRetention(ms(Long.MAX_VALUE)) : stored;
        }

        long gapAndGrace() {
            return number(1) + number(2);
        }
    }

    private record WindowTable(KTable<Windowed<String>, String> table, boolean sessions) {
    }

    private final StreamsBuilder builder;
    private final Map<String, Object> made = new HashMap<>();

    private Plan(StreamsBuilder builder) {
        this.builder = builder;
    }

    static void build(StreamsBuilder builder, List<String> lines) {
        Plan plan = new Plan(builder);
        for (String line : lines) {
            try {
                plan.line(List.of(line.split(" +")));
            } catch (RuntimeException error) {
                throw new IllegalArgumentException(line, error);
            }
        }
    }

    /** The topics that are read. */
    static Set<String> inputs(List<String> lines) {
        Set<String> topics = new LinkedHashSet<>();
        for (String line : lines) {
            String[] words = line.split(" +");
            if (words.length > 3 && Set.of("stream", "table", "global").contains(words[2])) {
                topics.addAll(List.of(words[3].split(",")));
            }
        }
        return topics;
    }

    /** The topics that are written. */
    static List<String> outputs(List<String> lines) {
        List<String> topics = new ArrayList<>();
        for (String line : lines) {
            String[] words = line.split(" +");
            if (words[0].equals("to") && !topics.contains(words[2])) {
                topics.add(words[2]);
            }
        }
        return topics;
    }

    private void line(List<String> words) {
        if (words.get(0).equals("to")) {
            stream(words.get(1)).to(words.get(2));
            return;
        }
        String[] names = words.get(0).split(",");
        List<String> arguments = words.subList(3, words.size());
        String operator = words.get(2);
        if (operator.equals("split")) {
            Map<String, KStream<String, String>> parts = stream(arguments.get(0)).split(Named.as("split-" + names[0] + "-"))
                .branch(Words.predicate(arguments.get(1))::test, Branched.as("a")).defaultBranch(Branched.as("b"));
            made.put(names[0], parts.get("split-" + names[0] + "-a"));
            made.put(names[1], parts.get("split-" + names[0] + "-b"));
        } else {
            made.put(names[0], make(operator, arguments));
        }
    }

    @SuppressWarnings("unchecked")
    private KStream<String, String> stream(String name) {
        return (KStream<String, String>) made.get(name);
    }

    @SuppressWarnings("unchecked")
    private KTable<String, String> table(String name) {
        return (KTable<String, String>) made.get(name);
    }

    /** The argument {@code name:…} behind the fixed ones, or null. */
    private static String option(List<String> words, String name) {
        return words.stream().filter(word -> word.startsWith(name + ":")).map(word -> word.substring(name.length() + 1)).findFirst().orElse(null);
    }

    private static Materialized<String, String, KeyValueStore<Bytes, byte[]>> stored(List<String> words, String store) {
        String history = option(words, "versioned");
        if (history == null) {
            return texts(store);
        }
        return Materialized.<String, String>as(Stores.persistentVersionedKeyValueStore(store, ms(Long.parseLong(history))))
            .withKeySerde(TEXT).withValueSerde(TEXT);
    }

    private Object make(String operator, List<String> words) {
        String first = words.get(0);
        Object from = made.get(first);
        String second = words.size() > 1 ? words.get(1) : null;
        return switch (operator) {
            case "stream" -> builder.<String, String>stream(List.of(first.split(",")));
            case "table" -> builder.table(first, stored(words, second));
            case "global" -> builder.globalTable(first, texts(second));
            case "filter" -> filter(from, words, false);
            case "filter-not" -> filter(from, words, true);
            case "map-values" -> mapValues(from, words);
            case "select-key" -> stream(first).selectKey(Words.key(second)::apply);
            case "map" -> stream(first).map((key, value) -> KeyValue.pair(Words.key(second).apply(key, value), Words.value(words.get(2)).apply(key, value)));
            case "flat-map" -> stream(first).flatMap((key, value) -> List.of(KeyValue.pair(key, value), KeyValue.pair(Words.key(second).apply(key, value), value)));
            case "merge" -> stream(first).merge(stream(second));
            case "repartition" -> stream(first).repartition(Repartitioned.as(second));
            case "to-table" -> stream(first).toTable(stored(words, second));
            case "to-stream" -> toStream(from);
            case "group" -> group(from, words);
            case "window" -> new Windows(grouping(from), List.of(second.split(":")), words.contains("on-close"));
            case "cogroup" -> cogroup(from, words);
            case "count" -> count(from, second);
            case "reduce" -> reduce(from, words);
            case "aggregate" -> aggregate(from, words);
            case "join" -> join(from, made.get(second), words);
            case "foreign-join" -> foreignJoin(words);
            case "suppress" -> suppress(from, words);
            default -> throw new IllegalArgumentException(operator);
        };
    }

    private static Grouping grouping(Object from) {
        return (Grouping) from;
    }

    @SuppressWarnings("unchecked")
    private Object filter(Object from, List<String> words, boolean not) {
        var predicate = Words.predicate(words.get(1));
        if (from instanceof KStream) {
            KStream<String, String> stream = (KStream<String, String>) from;
            return not ? stream.filterNot(predicate::test) : stream.filter(predicate::test);
        }
        KTable<String, String> table = (KTable<String, String>) from;
        String store = option(words, "stored");
        if (store == null) {
            return not ? table.filterNot(predicate::test) : table.filter(predicate::test);
        }
        return not ? table.filterNot(predicate::test, stored(words, store)) : table.filter(predicate::test, stored(words, store));
    }

    @SuppressWarnings("unchecked")
    private Object mapValues(Object from, List<String> words) {
        var map = Words.value(words.get(1));
        if (from instanceof KStream) {
            return ((KStream<String, String>) from).mapValues(map::apply);
        }
        String store = option(words, "stored");
        KTable<String, String> table = (KTable<String, String>) from;
        return store == null ? table.mapValues(map::apply) : table.mapValues(map::apply, stored(words, store));
    }

    @SuppressWarnings("unchecked")
    private static KStream<String, String> toStream(Object from) {
        if (from instanceof WindowTable windows) {
            return windows.table.toStream((key, value) -> key.key() + "@" + key.window().start() + (windows.sessions ? ".." + key.window().end() : ""));
        }
        return ((KTable<String, String>) from).toStream();
    }

    @SuppressWarnings("unchecked")
    private Object group(Object from, List<String> words) {
        if (from instanceof KTable) {
            var key = Words.key(words.get(1));
            var value = Words.value(words.get(2));
            return ((KTable<String, String>) from).groupBy((k, v) -> KeyValue.pair(key.apply(k, v), value.apply(k, v)), Grouped.<String, String>as(words.get(3)));
        }
        KStream<String, String> stream = (KStream<String, String>) from;
        KGroupedStream<String, String> grouped = words.size() == 1 ? stream.groupByKey()
            : stream.groupBy(Words.key(words.get(1))::apply, Grouped.<String, String>as(words.get(2)));
        return new Grouping(grouped, null);
    }

    private Object cogroup(Object from, List<String> words) {
        Grouping grouping = grouping(from);
        if (grouping.stream != null) {
            BinaryOperator<String> add = Words.add(words.get(1));
            return new Grouping(null, grouping.stream.<String>cogroup((key, value, soFar) -> add.apply(soFar, value)));
        }
        BinaryOperator<String> add = Words.add(words.get(2));
        return new Grouping(null, grouping.together.cogroup(grouping(made.get(words.get(1))).stream, (key, value, soFar) -> add.apply(soFar, value)));
    }

    private static TimeWindowedKStream<String, String> byTime(Windows windows) {
        KGroupedStream<String, String> grouped = windows.of.stream;
        TimeWindowedKStream<String, String> stream = switch (windows.kind.get(0)) {
            case "sliding" -> grouped.windowedBy(slidingWindows(windows));
            case "unlimited" -> grouped.windowedBy(UnlimitedWindows.of().startOn(Instant.ofEpochMilli(windows.number(1))));
            default -> grouped.windowedBy(timeWindows(windows));
        };
        return windows.onClose ? stream.emitStrategy(EmitStrategy.onWindowClose()) : stream;
    }

    private static TimeWindows timeWindows(Windows windows) {
        return windows.kind.get(0).equals("hopping")
            ? TimeWindows.ofSizeAndGrace(ms(windows.number(1)), ms(windows.number(3))).advanceBy(ms(windows.number(2)))
            : TimeWindows.ofSizeAndGrace(ms(windows.number(1)), ms(windows.number(2)));
    }

    private static SlidingWindows slidingWindows(Windows windows) {
        return SlidingWindows.ofTimeDifferenceAndGrace(ms(windows.number(1)), ms(windows.number(2)));
    }

    private static SessionWindows sessionWindows(Windows windows) {
        return SessionWindows.ofInactivityGapAndGrace(ms(windows.number(1)), ms(windows.number(2)));
    }

    private static SessionWindowedKStream<String, String> bySession(Windows windows) {
        SessionWindowedKStream<String, String> stream = windows.of.stream.windowedBy(sessionWindows(windows));
        return windows.onClose ? stream.emitStrategy(EmitStrategy.onWindowClose()) : stream;
    }

    @SuppressWarnings("unchecked")
    private static Object count(Object from, String store) {
        if (from instanceof Windows windows) {
            return windows.sessions()
                ? new WindowTable(bySession(windows).count(sessionCounts(store, windows.gapAndGrace())).mapValues(count -> "c" + count), true)
                : new WindowTable(byTime(windows).count(windows.windowStore(windowCounts(store))).mapValues(count -> "c" + count), false);
        }
        KTable<String, Long> counts = from instanceof Grouping grouping
            ? grouping.stream.count(longs(store)) : ((KGroupedTable<String, String>) from).count(longs(store));
        return counts.mapValues(count -> "c" + count);
    }

    @SuppressWarnings("unchecked")
    private static Object reduce(Object from, List<String> words) {
        String store = words.get(1);
        BinaryOperator<String> add = Words.add(words.get(2));
        if (from instanceof Windows windows) {
            return windows.sessions()
                ? new WindowTable(bySession(windows).reduce(add::apply, sessions(store, windows.gapAndGrace())), true)
                : new WindowTable(byTime(windows).reduce(add::apply, windows.windowStore(windows(store))), false);
        }
        if (from instanceof Grouping grouping) {
            return grouping.stream.reduce(add::apply, texts(store));
        }
        return ((KGroupedTable<String, String>) from).reduce(add::apply, Words.add(words.get(3))::apply, texts(store));
    }

    @SuppressWarnings("unchecked")
    private static Object aggregate(Object from, List<String> words) {
        String store = words.get(1);
        if (from instanceof Windows windows && windows.of.together != null) {
            return cogrouped(windows, store);
        }
        if (from instanceof Grouping grouping && grouping.together != null) {
            return grouping.together.aggregate(() -> "0", texts(store));
        }
        BinaryOperator<String> add = Words.add(words.get(2));
        if (from instanceof Windows windows) {
            return windows.sessions()
                ? new WindowTable(bySession(windows).aggregate(() -> "0", (key, value, soFar) -> add.apply(soFar, value), (key, left, right) -> Words.merge(left, right),
                    sessions(store, windows.gapAndGrace())), true)
                : new WindowTable(byTime(windows).aggregate(() -> "0", (key, value, soFar) -> add.apply(soFar, value), windows.windowStore(windows(store))), false);
        }
        if (from instanceof Grouping grouping) {
            return grouping.stream.aggregate(() -> "0", (key, value, soFar) -> add.apply(soFar, value), texts(store));
        }
        BinaryOperator<String> subtract = Words.add(words.get(3));
        return ((KGroupedTable<String, String>) from).aggregate(() -> "0", (key, value, soFar) -> add.apply(soFar, value),
            (key, value, soFar) -> subtract.apply(soFar, value), texts(store));
    }

    private static Object cogrouped(Windows windows, String store) {
        CogroupedKStream<String, String> together = windows.of.together;
        if (windows.sessions()) {
            SessionWindowedCogroupedKStream<String, String> stream = together.windowedBy(sessionWindows(windows));
            return new WindowTable(stream.aggregate(() -> "0", (key, left, right) -> Words.merge(left, right), sessions(store, windows.gapAndGrace())), true);
        }
        TimeWindowedCogroupedKStream<String, String> stream = windows.kind.get(0).equals("sliding")
            ? together.windowedBy(slidingWindows(windows)) : together.windowedBy(timeWindows(windows));
        return new WindowTable(stream.aggregate(() -> "0", windows(store)), false);
    }

    @SuppressWarnings("unchecked")
    private Object join(Object left, Object right, List<String> words) {
        String kind = words.get(2);
        if (left instanceof KTable) {
            return joinTables((KTable<String, String>) left, (KTable<String, String>) right, kind, words);
        }
        KStream<String, String> stream = (KStream<String, String>) left;
        if (right instanceof GlobalKTable) {
            GlobalKTable<String, String> global = (GlobalKTable<String, String>) right;
            var key = Words.key(words.get(3));
            return kind.equals("inner") ? stream.join(global, key::apply, Dsl::pair) : stream.leftJoin(global, key::apply, Dsl::pair);
        }
        if (right instanceof KTable) {
            KTable<String, String> table = (KTable<String, String>) right;
            String grace = option(words, "grace");
            Joined<String, String, String> joined = Joined.<String, String, String>with(TEXT, TEXT, TEXT).withName(words.get(3));
            if (grace != null) {
                joined = joined.withGracePeriod(ms(Long.parseLong(grace)));
            }
            return kind.equals("inner") ? stream.join(table, Dsl::pair, joined) : stream.leftJoin(table, Dsl::pair, joined);
        }
        KStream<String, String> other = (KStream<String, String>) right;
        String[] times = words.get(3).split(":");
        JoinWindows windows = JoinWindows.ofTimeDifferenceAndGrace(Duration.ZERO, ms(Long.parseLong(times[2])))
            .before(ms(Long.parseLong(times[0]))).after(ms(Long.parseLong(times[1])));
        StreamJoined<String, String, String> joined = StreamJoined.with(TEXT, TEXT, TEXT).withName(words.get(4)).withStoreName(words.get(4));
        return switch (kind) {
            case "inner" -> stream.join(other, Dsl::pair, windows, joined);
            case "left" -> stream.leftJoin(other, Dsl::pair, windows, joined);
            case "outer" -> stream.outerJoin(other, Dsl::pair, windows, joined);
            default -> throw new IllegalArgumentException(kind);
        };
    }

    private static Object joinTables(KTable<String, String> left, KTable<String, String> right, String kind, List<String> words) {
        String store = option(words, "stored");
        if (store == null) {
            return switch (kind) {
                case "inner" -> left.join(right, Dsl::pair);
                case "left" -> left.leftJoin(right, Dsl::pair);
                case "outer" -> left.outerJoin(right, Dsl::pair);
                default -> throw new IllegalArgumentException(kind);
            };
        }
        return switch (kind) {
            case "inner" -> left.join(right, Dsl::pair, stored(words, store));
            case "left" -> left.leftJoin(right, Dsl::pair, stored(words, store));
            case "outer" -> left.outerJoin(right, Dsl::pair, stored(words, store));
            default -> throw new IllegalArgumentException(kind);
        };
    }

    private Object foreignJoin(List<String> words) {
        KTable<String, String> left = table(words.get(0));
        KTable<String, String> right = table(words.get(1));
        BiFunction<String, String, String> key = Words.key(words.get(3));
        String store = words.get(4);
        boolean stored = words.contains("stored");
        if (words.get(2).equals("inner")) {
            return stored ? left.join(right, key, Dsl::pair, texts(store)) : left.<String, String, String>join(right, key, Dsl::pair);
        }
        return stored ? left.leftJoin(right, key, Dsl::pair, texts(store)) : left.<String, String, String>leftJoin(right, key, Dsl::pair);
    }

    @SuppressWarnings("unchecked")
    private static Object suppress(Object from, List<String> words) {
        List<String> how = List.of(words.get(1).split(":"));
        String name = words.get(2);
        if (from instanceof WindowTable windows) {
            return new WindowTable(windows.table.suppress(how.get(0).equals("closes")
                ? Suppressed.untilWindowCloses(BufferConfig.unbounded()).withName(name)
                : Suppressed.<Windowed<String>>untilTimeLimit(ms(Long.parseLong(how.get(1))), BufferConfig.unbounded()).withName(name)), windows.sessions);
        }
        Duration limit = ms(Long.parseLong(how.get(1)));
        Suppressed<String> suppressed = how.size() > 2
            ? Suppressed.untilTimeLimit(limit, BufferConfig.maxRecords(Long.parseLong(how.get(2))))
            : Suppressed.untilTimeLimit(limit, BufferConfig.unbounded());
        return ((KTable<String, String>) from).suppress(suppressed.withName(name));
    }
}
