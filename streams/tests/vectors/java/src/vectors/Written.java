package vectors;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Topologies and inputs written down by hand, in {@code plans/}: the cases of Kafka Streams' own tests, as data. A file has blocks: {@code steps NAME} with a line a step
 * ({@code topic key value time}, {@code null} where there is none, or {@code + ms}), and {@code topology NAME with STEPS… : what it does} with the lines of a {@link Plan}.
 */
final class Written {
    private Written() {
    }

    static List<Scenario> all() {
        List<Scenario> all = new ArrayList<>();
        try (Stream<Path> files = Files.list(Path.of(System.getProperty("plans")))) {
            for (Path file : files.sorted().toList()) {
                all.addAll(read(Files.readAllLines(file)));
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return all;
    }

    private static List<Scenario> read(List<String> lines) {
        Map<String, List<Step>> steps = new LinkedHashMap<>();
        Map<String, List<String>> plans = new LinkedHashMap<>();
        List<Step> openSteps = null;
        List<String> openPlan = null;
        for (String line : lines) {
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            if (line.startsWith("steps ")) {
                openPlan = null;
                openSteps = new ArrayList<>();
                steps.put(line.substring(6).strip(), openSteps);
            } else if (line.startsWith("topology ")) {
                openSteps = null;
                openPlan = new ArrayList<>();
                plans.put(line.substring(9), openPlan);
            } else if (openPlan != null) {
                openPlan.add(line.strip());
            } else {
                openSteps.add(step(line.strip().split(" +")));
            }
        }
        List<Scenario> all = new ArrayList<>();
        plans.forEach((head, plan) -> {
            String[] halves = head.split(" : ");
            String[] words = halves[0].split(" +");
            List<List<Step>> cases = new ArrayList<>();
            for (int at = 2; at < words.length; at++) {
                if (!steps.containsKey(words[at])) {
                    throw new IllegalArgumentException(head);
                }
                cases.add(steps.get(words[at]));
            }
            all.add(Scenario.named("written/" + words[0], halves[1]).plan(plan).given(cases));
        });
        return all;
    }

    private static Step step(String[] words) {
        if (words[0].equals(Step.WALL_CLOCK)) {
            return Step.wallClock(Long.parseLong(words[1]));
        }
        return new Step(words[0], orNull(words[1]), orNull(words[2]), Long.parseLong(words[3]), List.of());
    }

    private static String orNull(String word) {
        return word.equals("null") ? null : word;
    }
}
