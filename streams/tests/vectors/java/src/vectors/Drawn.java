package vectors;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;

/**
 * Topologies drawn from a seed. What README.md calls meant differences is kept out: values before the first of an aggregate that begins with something, values before of
 * {@code suppress}, and time behind several repartition topics.
 */
final class Drawn {
    /** How many are kept; {@code DRAWN=from..to} records others, to look for differences. */
    private static final String RANGE = System.getenv().getOrDefault("DRAWN", "0..60");

    /** Seeds whose topologies show what README.md calls a difference that is meant. */
    private static final Set<Long> LEFT_OUT = Set.of(10L, 26L, 30L, 56L, 58L);

    private enum Kind { STREAM, TABLE, WINDOWS, GLOBAL }

    /**
     * A stream or table.
     * @param hasOldValues a table whose values before are what its receivers saw
     * @param repartitions the repartition topics on the way
     */
    private record Made(String name, Kind kind, boolean hasOldValues, Set<String> repartitions) {
    }

    private final Random random;
    private final List<String> lines = new ArrayList<>();
    private final List<Made> all = new ArrayList<>();
    private final Set<String> used = new TreeSet<>();
    private int number;

    private Drawn(long seed) {
        random = new Random(seed * 104729 + 11);
    }

    static List<Scenario> all() {
        String[] range = RANGE.split("\\.\\.");
        List<Scenario> all = new ArrayList<>();
        for (long seed = Long.parseLong(range[0]); seed < Long.parseLong(range[1]); seed++) {
            if (LEFT_OUT.contains(seed)) {
                continue;
            }
            all.add(Scenario.named(String.format("drawn/%03d", seed), "drawn from seed " + seed).plan(new Drawn(seed).draw()).seeds(4, 26).withoutDropped());
        }
        return all;
    }

    private List<String> draw() {
        source("stream first", Kind.STREAM);
        if (percent(60)) {
            source("stream second", Kind.STREAM);
        }
        if (percent(65)) {
            source("table third " + fresh("store") + (percent(15) ? " versioned:60" : ""), Kind.TABLE);
        }
        if (percent(35)) {
            source("table fourth " + fresh("store"), Kind.TABLE);
        }
        if (percent(12)) {
            source("global fifth " + fresh("store"), Kind.GLOBAL);
        }
        int operators = 4 + random.nextInt(6);
        for (int tries = 0; operators > 0 && tries < 200; tries++) {
            if (operator()) {
                operators--;
            }
        }
        int outputs = 0;
        for (Made made : List.copyOf(all)) {
            if (used.contains(made.name) || made.kind == Kind.GLOBAL) {
                continue;
            }
            Made stream = made.kind == Kind.STREAM ? made : toStream(made);
            lines.add("to " + stream.name + " out" + outputs++);
        }
        return lines;
    }

    private void source(String operator, Kind kind) {
        add(kind, operator, true, Set.of());
    }

    private Made add(Kind kind, String operator, boolean hasOldValues, Set<String> repartitions) {
        Made made = new Made(fresh(kind.name().substring(0, 1).toLowerCase()), kind, hasOldValues, repartitions);
        lines.add(made.name + " = " + operator);
        all.add(made);
        return made;
    }

    private String fresh(String what) {
        return what + number++;
    }

    private boolean percent(int percent) {
        return random.nextInt(100) < percent;
    }

    private int between(int low, int high) {
        return low + random.nextInt(high - low + 1);
    }

    private String one(String... from) {
        return from[random.nextInt(from.length)];
    }

    /** One of that kind, rather one that nothing was made of yet; null where there is none. */
    private Made any(Kind kind) {
        List<Made> found = all.stream().filter(made -> made.kind == kind).toList();
        List<Made> unused = found.stream().filter(made -> !used.contains(made.name)).toList();
        List<Made> from = !unused.isEmpty() && percent(75) ? unused : found;
        return from.isEmpty() ? null : from.get(random.nextInt(from.size()));
    }

    private String use(Made made) {
        used.add(made.name);
        return made.name;
    }

    private Made toStream(Made table) {
        return add(Kind.STREAM, "to-stream " + use(table), true, table.repartitions);
    }

    private static Set<String> together(Set<String> left, Set<String> right) {
        Set<String> both = new TreeSet<>(left);
        both.addAll(right);
        return both;
    }

    private String predicate() {
        return switch (random.nextInt(6)) {
            case 0 -> "key:" + one("a", "b", "g1");
            case 1 -> "some";
            default -> "mod:" + one("2:0", "2:1", "3:1", "4:2");
        };
    }

    private String tablePredicate() {
        return "mod:" + one("2:0", "2:1", "3:1", "3:2");
    }

    private String newKey() {
        return one("group:2", "group:3", "spread:2", "pick:a:b:c", "pick:a:b:c:-", "const:a");
    }

    private boolean operator() {
        Made stream = any(Kind.STREAM);
        Made table = any(Kind.TABLE);
        Made windows = any(Kind.WINDOWS);
        return switch (random.nextInt(17)) {
            case 0, 1 -> stateless(stream);
            case 2 -> {
                Made other = any(Kind.STREAM);
                if (other == stream) {
                    yield false;
                }
                add(Kind.STREAM, "merge " + use(stream) + " " + use(other), true, together(stream.repartitions, other.repartitions));
                yield true;
            }
            case 3 -> {
                String left = fresh("s");
                String right = fresh("s");
                lines.add(left + "," + right + " = split " + use(stream) + " " + predicate());
                all.add(new Made(left, Kind.STREAM, true, stream.repartitions));
                all.add(new Made(right, Kind.STREAM, true, stream.repartitions));
                yield true;
            }
            case 4, 5 -> aggregate(stream);
            case 6, 7 -> windowed(stream);
            case 8 -> {
                String repartition = "table" + number;
                add(Kind.TABLE, "to-table " + use(stream) + " " + fresh("store"), true, together(stream.repartitions, Set.of(repartition)));
                yield true;
            }
            case 9 -> joinStreams(stream);
            case 10 -> table != null && joinTable(stream, table);
            case 11 -> table != null && table.hasOldValues && viewOf(table);
            case 12, 13 -> table != null && table.hasOldValues && joinTables(table);
            case 14 -> table != null && table.hasOldValues && groupTable(table);
            case 15 -> {
                if (windows == null && (table == null || !table.hasOldValues)) {
                    yield false;
                }
                if (windows != null && windows.hasOldValues) {
                    add(Kind.WINDOWS, "suppress " + use(windows) + " closes " + fresh("held"), false, windows.repartitions);
                } else if (table != null && table.hasOldValues) {
                    add(Kind.TABLE, "suppress " + use(table) + " time:" + between(0, 20) + (percent(30) ? ":" + between(1, 3) : "") + " " + fresh("held"), false, table.repartitions);
                }
                yield true;
            }
            default -> {
                Made from = windows != null && percent(60) ? windows : table;
                if (from == null) {
                    yield false;
                }
                toStream(from);
                yield true;
            }
        };
    }

    private boolean stateless(Made stream) {
        String operator = switch (random.nextInt(9)) {
            case 0, 1 -> "filter %s " + predicate();
            case 2 -> "filter-not %s " + predicate();
            case 3 -> "map-values %s " + one("mark:x", "group:4", "drop:5", "keyed");
            case 4 -> "select-key %s " + newKey();
            case 5 -> "map %s " + newKey() + " " + one("mark:y", "same", "group:5");
            case 6 -> "flat-map %s " + newKey();
            case 7 -> "repartition %s " + fresh("topic");
            default -> "map-values %s mark:" + one("p", "q", "r");
        };
        Set<String> repartitions = operator.startsWith("repartition") ? together(stream.repartitions, Set.of(operator.substring(15))) : stream.repartitions;
        add(Kind.STREAM, String.format(operator, use(stream)), true, repartitions);
        return true;
    }

    /** Groups the stream; returns the variable. */
    private String group(Made stream) {
        String grouped = fresh("g");
        lines.add(grouped + " = group " + use(stream) + (percent(35) ? " " + newKey() + " " + fresh("by") : ""));
        return grouped;
    }

    private Set<String> behindGroup(Made stream, String grouped) {
        return together(stream.repartitions, Set.of(grouped));
    }

    private boolean aggregate(Made stream) {
        Made other = any(Kind.STREAM);
        String grouped = group(stream);
        Set<String> repartitions = behindGroup(stream, grouped);
        if (percent(20) && other != stream) {
            String together = fresh("c");
            lines.add(together + " = cogroup " + grouped + " " + one("join", "delete"));
            String also = group(other);
            String both = fresh("c");
            lines.add(both + " = cogroup " + together + " " + also + " minus");
            add(Kind.TABLE, "aggregate " + both + " " + fresh("store"), false, together(repartitions, behindGroup(other, also)));
            return true;
        }
        switch (random.nextInt(4)) {
            case 0 -> add(Kind.TABLE, "count " + grouped + " " + fresh("store"), false, repartitions);
            case 1 -> add(Kind.TABLE, "aggregate " + grouped + " " + fresh("store") + " " + one("join", "delete"), false, repartitions);
            default -> add(Kind.TABLE, "reduce " + grouped + " " + fresh("store") + " " + one("join", "delete", "last"), true, repartitions);
        }
        return true;
    }

    private boolean windowed(Made stream) {
        if (stream.repartitions.size() > 0) {
            return false;
        }
        String grouped = group(stream);
        String kind = switch (random.nextInt(5)) {
            case 0 -> "hopping:" + between(8, 16) + ":" + between(3, 7) + ":" + between(0, 20);
            case 1 -> "sliding:" + between(4, 15) + ":" + between(0, 20);
            case 2 -> "session:" + between(2, 9) + ":" + between(0, 20);
            default -> "tumbling:" + between(5, 20) + ":" + between(0, 20);
        };
        String windowed = fresh("v");
        boolean onClose = percent(15);
        lines.add(windowed + " = window " + grouped + " " + kind + (onClose ? " on-close" : ""));
        Set<String> repartitions = behindGroup(stream, grouped);
        switch (random.nextInt(4)) {
            case 0, 1 -> add(Kind.WINDOWS, "count " + windowed + " " + fresh("store"), !onClose, repartitions);
            case 2 -> add(Kind.WINDOWS, "aggregate " + windowed + " " + fresh("store") + " " + one("join", "delete"), !onClose, repartitions);
            default -> add(Kind.WINDOWS, "reduce " + windowed + " " + fresh("store") + " join", !onClose, repartitions);
        }
        return true;
    }

    private boolean joinStreams(Made left) {
        Made right = any(Kind.STREAM);
        if (left.repartitions.size() + right.repartitions.size() > 0) {
            return false;
        }
        String join = fresh("join");
        add(Kind.STREAM, "join " + use(left) + " " + use(right) + " " + one("inner", "left", "outer") + " " + between(0, 12) + ":" + between(0, 12) + ":" + between(0, 15) + " " + join,
            true, together(Set.of(join), together(left.repartitions, right.repartitions)));
        return true;
    }

    private boolean joinTable(Made stream, Made table) {
        String join = fresh("join");
        Made global = any(Kind.GLOBAL);
        if (global != null && percent(60)) {
            add(Kind.STREAM, "join " + use(stream) + " " + use(global) + " " + one("inner", "left") + " " + one("same", "pick:a:b:c:-", "group:2"), true, stream.repartitions);
            return true;
        }
        add(Kind.STREAM, "join " + use(stream) + " " + use(table) + " " + one("inner", "left") + " " + join, true, together(Set.of(join), together(stream.repartitions, table.repartitions)));
        return true;
    }

    private boolean viewOf(Made table) {
        String stored = percent(30) ? " stored:" + fresh("store") : "";
        String operator = percent(60) ? one("filter", "filter-not") + " " + use(table) + " " + tablePredicate() : "map-values " + use(table) + " " + one("mark:t", "group:3");
        add(Kind.TABLE, operator + stored, true, table.repartitions);
        return true;
    }

    private boolean joinTables(Made left) {
        Made right = any(Kind.TABLE);
        if (right == left || !right.hasOldValues) {
            return false;
        }
        Set<String> repartitions = together(left.repartitions, right.repartitions);
        if (percent(40)) {
            String join = fresh("join");
            add(Kind.TABLE, "foreign-join " + use(left) + " " + use(right) + " " + one("inner", "left") + " " + one("pick:a:b:c", "pick:a:b:-", "group:2") + " " + join + (percent(30) ? " stored" : ""),
                true, together(repartitions, Set.of(join)));
            return true;
        }
        add(Kind.TABLE, "join " + use(left) + " " + use(right) + " " + one("inner", "left", "outer") + (percent(30) ? " stored:" + fresh("store") : ""), true, repartitions);
        return true;
    }

    private boolean groupTable(Made table) {
        String grouped = fresh("g");
        lines.add(grouped + " = group " + use(table) + " " + one("group:2", "group:3", "pick:a:b:c", "pick:a:b:-") + " " + one("same", "group:4") + " " + fresh("by"));
        Set<String> repartitions = together(table.repartitions, Set.of(grouped));
        switch (random.nextInt(3)) {
            case 0 -> add(Kind.TABLE, "count " + grouped + " " + fresh("store"), false, repartitions);
            case 1 -> add(Kind.TABLE, "aggregate " + grouped + " " + fresh("store") + " join minus", false, repartitions);
            default -> add(Kind.TABLE, "reduce " + grouped + " " + fresh("store") + " join minus", true, repartitions);
        }
        return true;
    }
}
