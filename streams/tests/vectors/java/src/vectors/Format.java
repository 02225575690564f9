package vectors;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** How the bytes of a key or a value read as text: the text is what stands in the recorded files. */
enum Format {
    /** UTF-8. */
    TEXT("text"),
    /** Eight bytes, big endian. */
    LONG("long"),
    /** A key of text and the start of its window, big endian: {@code key@start}. */
    WINDOW("window"),
    /** A key of text, the end and the start of its session (both inclusive): {@code key@start..end}. */
    SESSION("session");

    final String label;

    Format(String label) {
        this.label = label;
    }

    byte[] bytes(String text) {
        if (text == null) {
            return null;
        }
        return switch (this) {
            case TEXT -> text.getBytes(StandardCharsets.UTF_8);
            case LONG -> ByteBuffer.allocate(8).putLong(Long.parseLong(text)).array();
            default -> throw new IllegalArgumentException(label + " is a format of outputs");
        };
    }

    String text(byte[] bytes) {
        if (bytes == null) {
            return null;
        }
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        return switch (this) {
            case TEXT -> new String(bytes, StandardCharsets.UTF_8);
            case LONG -> Long.toString(buffer.getLong());
            case WINDOW -> new String(bytes, 0, bytes.length - 8, StandardCharsets.UTF_8) + "@" + buffer.getLong(bytes.length - 8);
            case SESSION -> new String(bytes, 0, bytes.length - 16, StandardCharsets.UTF_8)
                + "@" + buffer.getLong(bytes.length - 8) + ".." + buffer.getLong(bytes.length - 16);
        };
    }
}
