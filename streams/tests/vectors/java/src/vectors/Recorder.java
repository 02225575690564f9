package vectors;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Runs the catalogue through Kafka Streams' TopologyTestDriver and writes one file a topology:
 * {@code Recorder FOLDER [NAME-PART…]}. See {@code README.md} for the files.
 */
public final class Recorder {
    private static final boolean COMPARES = System.getenv("COMPARE") != null;

    private Recorder() {
    }

    public static void main(String[] args) throws IOException {
        Path folder = Path.of(args[0]);
        List<String> wanted = List.of(args).subList(1, args.length);
        Files.createDirectories(folder);
        int failed = 0;
        for (Scenario scenario : Catalogue.all()) {
            if (!wanted.isEmpty() && wanted.stream().noneMatch(scenario.name::contains)) {
                continue;
            }
            try {
                List<String> lines = record(scenario);
                Path file = folder.resolve(scenario.name + ".jsonl");
                Files.createDirectories(file.getParent());
                Files.write(file, lines);
                System.out.println(scenario.name);
            } catch (RuntimeException error) {
                failed++;
                System.out.println(scenario.name + ": NOT RECORDED");
                error.printStackTrace(System.out);
            }
        }
        System.exit(failed == 0 ? 0 : 1);
    }

    private static List<String> record(Scenario scenario) throws IOException {
        List<String> lines = new ArrayList<>();
        lines.add(head(scenario));
        Path stateDir = Files.createTempDirectory("vectors");
        try {
            for (long seed = 0; seed < scenario.seeds; seed++) {
                List<Step> steps = scenario.given.isEmpty() ? Feed.draw(scenario, seed) : scenario.given.get((int) seed);
                List<String> plain = Run.lines(scenario, steps, false, false, stateDir);
                lines.add(Json.of(Map.of("seed", seed)));
                lines.addAll(plain);
                if (scenario.cached) {
                    lines.add("{\"seed\":" + seed + ",\"cached\":true}");
                    lines.addAll(Run.lines(scenario, steps, true, false, stateDir));
                }
                if (COMPARES) {
                    compareInMemory(scenario, seed, plain, Run.lines(scenario, steps, false, true, stateDir));
                }
            }
        } finally {
            delete(stateDir);
        }
        return lines;
    }

    /** Says where Kafka Streams' own stores disagree, so that nobody takes an accident of one of them for the rule. */
    private static void compareInMemory(Scenario scenario, long seed, List<String> plain, List<String> inMemory) {
        for (int at = 0; at < plain.size(); at++) {
            if (!plain.get(at).equals(inMemory.get(at))) {
                System.out.printf("%s seed %d line %d: RocksDB %s, in memory %s%n", scenario.name, seed, at, plain.get(at), inMemory.get(at));
                return;
            }
        }
    }

    private static String head(Scenario scenario) {
        Map<String, Object> head = new LinkedHashMap<>();
        head.put("topology", scenario.name);
        head.put("says", scenario.says);
        head.put("kafka", AppInfoParser.getVersion());
        Map<String, String> inputs = new LinkedHashMap<>();
        scenario.inputs.forEach(input -> inputs.put(input.topic, new Scenario.Formats(Format.TEXT, input.value).label()));
        head.put("inputs", inputs);
        Map<String, String> outputs = new LinkedHashMap<>();
        scenario.outputs.forEach((topic, formats) -> outputs.put(topic, formats.label()));
        head.put("outputs", outputs);
        if (scenario.plan != null) {
            head.put("plan", scenario.plan);
        }
        return Json.of(head);
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> found = Files.walk(folder)) {
            for (Path path : found.sorted((left, right) -> right.compareTo(left)).toList()) {
                Files.delete(path);
            }
        }
    }
}
