package vectors;

import static vectors.Dsl.*;
import static vectors.Tables.table;

import java.util.List;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.TableJoined;
import vectors.Scenario.Input;

/** Tables joined by a key in the left one's value. */
final class ForeignKeyJoins {
    private ForeignKeyJoins() {
    }

    /** Values such as {@code x7} point at {@code x}; {@code -7} at nothing. */
    private static String foreign(String value) {
        return value.startsWith("-") ? null : value.substring(0, 1);
    }

    private static Scenario scenario(String name, String says) {
        Input left = new Input("left").keys("a", "b", "c", "d")
            .values((random, number) -> "xyz-".charAt(Math.min(3, random.nextInt(10) / 3)) + Integer.toString(number % 10));
        return Scenario.named(name, says).input(left).input(new Input("right").keys("x", "y", "z").nulls(4, 20)).output("out").seeds(12, 32).withoutDropped();
    }

    private static TableJoined<String, String> joined() {
        return TableJoined.as("fk");
    }

    static List<Scenario> all() {
        return List.of(
            scenario("foreign-key-inner", "a table joined by a key in its value, inner")
                .build(builder -> textsTo(table(builder, "left").join(table(builder, "right"), ForeignKeyJoins::foreign, Dsl::pair, joined()), "out")),
            scenario("foreign-key-left", "a table joined by a key in its value, left")
                .build(builder -> textsTo(table(builder, "left").leftJoin(table(builder, "right"), ForeignKeyJoins::foreign, Dsl::pair, joined()), "out")),
            scenario("foreign-key-inner-stored", "as foreign-key-inner, with a store of its own").store("joined", Format.TEXT)
                .build(builder -> textsTo(table(builder, "left")
                    .join(table(builder, "right"), ForeignKeyJoins::foreign, Dsl::pair, joined(), texts("joined")), "out")),
            scenario("foreign-key-left-stored", "as foreign-key-left, with a store of its own").store("joined", Format.TEXT)
                .build(builder -> textsTo(table(builder, "left")
                    .leftJoin(table(builder, "right"), ForeignKeyJoins::foreign, Dsl::pair, joined(), texts("joined")), "out")),
            scenario("foreign-key-of-views", "filtered left table, mapped right one, left")
                .build(builder -> textsTo(table(builder, "left").filter((key, value) -> number(value) % 4 != 0)
                    .leftJoin(table(builder, "right").mapValues(Dsl::group), ForeignKeyJoins::foreign, Dsl::pair, joined()), "out")),
            scenario("foreign-key-with-key", "the foreign key from key and value: a's values with even numbers point at x")
                .build(builder -> {
                    KTable<String, String> right = table(builder, "right");
                    textsTo(table(builder, "left").join(right,
                        (key, value) -> key.equals("a") && even("n" + value.substring(1)) ? "x" : foreign(value), Dsl::pair, joined()), "out");
                })
        );
    }
}
