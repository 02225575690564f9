package vectors;

import java.util.List;
import java.util.function.BiFunction;
import java.util.function.BiPredicate;
import java.util.function.BinaryOperator;

/** The functions that a {@link Plan} names in a word, such as {@code mod:3:1}. The Rust side has the same. */
final class Words {
    private Words() {
    }

    /** A number for a text, the same on every machine; 0 for null. */
    static int hash(String text) {
        int hash = 0;
        for (int at = 0; text != null && at < text.length(); at++) {
            hash = (hash * 31 + text.charAt(at)) & 0x7fffffff;
        }
        return hash;
    }

    private static List<String> parts(String word) {
        return List.of(word.split(":"));
    }

    private static int at(List<String> parts, int place) {
        return Integer.parseInt(parts.get(place));
    }

    /** {@code mod:N:R}: values whose hash leaves R; {@code key:x}; {@code null}; {@code some}: not null; {@code short:N}: under N characters. */
    static BiPredicate<String, String> predicate(String word) {
        List<String> parts = parts(word);
        return switch (parts.get(0)) {
            case "mod" -> (key, value) -> hash(value) % at(parts, 1) == at(parts, 2);
            case "key" -> (key, value) -> parts.get(1).equals(key);
            case "null" -> (key, value) -> value == null;
            case "some" -> (key, value) -> value != null;
            case "short" -> (key, value) -> value == null || value.length() < at(parts, 1);
            default -> throw new IllegalArgumentException(word);
        };
    }

    /** {@code mark:x}: x behind the value; {@code group:N}: g and the hash's remainder; {@code drop:N}: null where the hash is divisible; {@code keyed}: the key before it. */
    static BiFunction<String, String, String> value(String word) {
        List<String> parts = parts(word);
        return switch (parts.get(0)) {
            case "mark" -> (key, value) -> value == null ? "nil" + parts.get(1) : value + parts.get(1);
            case "group" -> (key, value) -> value == null ? null : "g" + hash(value) % at(parts, 1);
            case "drop" -> (key, value) -> hash(value) % at(parts, 1) == 0 ? null : value;
            case "keyed" -> (key, value) -> key + ":" + value;
            case "same" -> (key, value) -> value;
            default -> throw new IllegalArgumentException(word);
        };
    }

    /** {@code group:N} as of values; {@code const:x}; {@code value}; {@code same}; {@code spread:N}: the key and the hash's remainder; {@code pick:a:b:-}: one of them by the hash, null for -. */
    static BiFunction<String, String, String> key(String word) {
        List<String> parts = parts(word);
        return switch (parts.get(0)) {
            case "group" -> value(word);
            case "const" -> (key, value) -> parts.get(1);
            case "value" -> (key, value) -> value;
            case "same" -> (key, value) -> key;
            case "none" -> (key, value) -> null;
            case "before" -> (key, value) -> value == null || value.startsWith("-") ? null : value.split(":")[0];
            case "spread" -> (key, value) -> key == null ? null : key + hash(value) % at(parts, 1);
            case "pick" -> (key, value) -> {
                String picked = parts.get(1 + hash(value) % (parts.size() - 1));
                return picked.equals("-") ? null : picked;
            };
            default -> throw new IllegalArgumentException(word);
        };
    }

    /** {@code join}: both with + between, begun anew when it grows long; {@code delete}: so too, but a value whose hash is divisible by 5 deletes; {@code minus}: with -; {@code last}. */
    static BinaryOperator<String> add(String word) {
        return switch (word) {
            case "join" -> Dsl::add;
            case "delete" -> (soFar, value) -> hash(value) % 5 == 0 ? null : Dsl.add(soFar, value);
            case "minus" -> (soFar, value) -> soFar == null || soFar.length() > 20 ? "-" + value : soFar + "-" + value;
            case "last" -> (soFar, value) -> value;
            default -> throw new IllegalArgumentException(word);
        };
    }

    static String merge(String left, String right) {
        return left.length() > 20 ? right : left + "&" + right;
    }
}
