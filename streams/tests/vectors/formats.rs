//! How the bytes of keys and values read as text: the text is what stands in the recorded files. The same names as in the recorder's `Format.java`.

/// A format of keys or values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// UTF-8.
    Text,
    /// Eight bytes, big endian.
    Long,
    /// A key of text and the start of its window: `key@start`.
    Window,
    /// A key of text, the end and the start of its session, both inclusive: `key@start..end`.
    Session,
}

impl Format {
    pub(crate) fn of(label: &str) -> Format {
        match label {
            "text" => Format::Text,
            "long" => Format::Long,
            "window" => Format::Window,
            "session" => Format::Session,
            other => panic!("the recorder knows no format {other:?}"),
        }
    }

    /// The bytes of an input.
    pub(crate) fn bytes(self, text: &str) -> Vec<u8> {
        match self {
            Format::Text => text.as_bytes().to_vec(),
            Format::Long => text
                .parse::<i64>()
                .expect("a recorded number")
                .to_be_bytes()
                .to_vec(),
            Format::Window | Format::Session => panic!("{self:?} is a format of outputs"),
        }
    }

    /// The text of an output; says so when the bytes are not of this format.
    pub(crate) fn text(self, bytes: &[u8]) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let number = |bytes: [u8; 8]| i64::from_be_bytes(bytes);
        let found = match self {
            Format::Text => Some(text(bytes)),
            Format::Long => bytes.try_into().ok().map(|bytes| number(bytes).to_string()),
            Format::Window => bytes
                .split_last_chunk::<8>()
                .map(|(key, start)| format!("{}@{}", text(key), number(*start))),
            Format::Session => bytes.split_last_chunk::<8>().and_then(|(rest, start)| {
                let (key, end) = rest.split_last_chunk::<8>()?;
                Some(format!("{}@{}..{}", text(key), number(*start), number(*end)))
            }),
        };
        found.unwrap_or_else(|| format!("{bytes:?}, which is no {self:?}"))
    }
}
