package vectors;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * Draws the input of a case from its seed. The seed's remainder by four chooses how disorderly it is: 0 in order, 1 a little out of order, 2 late
 * records too, 3 close to time zero with jumps ahead. Null keys and values, repeated values and equal timestamps come in all of them; records with a null are
 * the newest only where a scenario is about that ({@link Scenario#nullsMoveTime}).
 */
final class Feed {
    private final Scenario scenario;
    private final Random random;
    private final int disorder;
    private final Map<String, String> lastValue = new HashMap<>();
    private long newest;
    private long last;

    private Feed(Scenario scenario, long seed) {
        this.scenario = scenario;
        this.random = new Random(seed * 7919 + 17);
        this.disorder = scenario.orderly ? 0 : (int) (seed % 4);
        this.newest = disorder == 3 ? random.nextInt(4) : 100 + random.nextInt(40);
        this.last = newest;
    }

    static List<Step> draw(Scenario scenario, long seed) {
        Feed feed = new Feed(scenario, seed);
        List<Step> steps = new ArrayList<>();
        for (int number = 0; number < scenario.steps; number++) {
            if (feed.percent(scenario.wallClockPercent)) {
                steps.add(Step.wallClock(1 + feed.random.nextInt((int) scenario.wallClockMs)));
            } else {
                steps.add(feed.record(number));
            }
        }
        return steps;
    }

    private Step record(int number) {
        Scenario.Input input = pickInput();
        // Not the first record: it would set the time, whatever its own.
        String key = percent(input.nullKeys) && number > 0 ? null : pick(input.keys);
        String place = input.topic + "/" + key;
        String before = lastValue.get(place);
        String value;
        if (percent(input.nullValues) && number > 0) {
            value = null;
        } else if (before != null && percent(12)) {
            value = before;
        } else {
            value = input.values.draw(random, number);
        }
        if (value != null) {
            lastValue.put(place, value);
        }
        List<String> headers = new ArrayList<>();
        while (percent(input.headers) && headers.size() < 6) {
            headers.add("h" + random.nextInt(3));
            headers.add(input.topic + number);
        }
        return new Step(input.topic, key, value, time(key == null || value == null), headers);
    }

    private long time(boolean hasNull) {
        int draw = random.nextInt(100);
        int unit = scenario.timeUnit;
        if (draw < 15) {
            return last;
        }
        long time;
        if (disorder >= 1 && draw < 40) {
            time = newest - random.nextInt(12 * unit + 1);
        } else if (disorder >= 2 && draw < 50) {
            time = newest - random.nextInt(60 * unit + 1);
        } else if (draw < 90) {
            time = newest + random.nextInt(5 * unit + 1);
        } else if (draw < 96 || disorder == 0) {
            time = newest + random.nextInt(16 * unit + 1);
        } else {
            time = newest + random.nextInt(120 * unit + 1);
        }
        last = Math.max(0, hasNull && !scenario.nullsMoveTime ? Math.min(time, newest) : time);
        newest = Math.max(newest, last);
        return last;
    }

    private Scenario.Input pickInput() {
        int total = scenario.inputs.stream().mapToInt(input -> input.weight).sum();
        int draw = random.nextInt(total);
        for (Scenario.Input input : scenario.inputs) {
            draw -= input.weight;
            if (draw < 0) {
                return input;
            }
        }
        throw new IllegalStateException("weights do not add up");
    }

    private String pick(List<String> from) {
        return from.get(random.nextInt(from.size()));
    }

    private boolean percent(int percent) {
        return random.nextInt(100) < percent;
    }
}
