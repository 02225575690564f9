//! `{unpack[>I]}`: binary keys and values as numbers, by the letters of Python's `struct`.
//!
//! Pure. Bytes that do not fit the pattern are shown as what is missing, never dropped silently.

use std::io::Write;

/// One step of unpacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpack {
    /// From here on the highest byte comes first, or last.
    Order { big: bool },
    /// Skip a byte.
    Skip,
    /// A number of so many bytes.
    Number { bytes: usize, signed: bool },
    /// A byte as a letter.
    Letter,
    /// The rest as text.
    Rest,
    /// Nothing may be left.
    End,
}

/// Reads a pattern.
pub(super) fn parse(pattern: &str) -> Result<Vec<Unpack>, String> {
    let number = |bytes, signed| Unpack::Number { bytes, signed };
    pattern
        .chars()
        .map(|letter| {
            Ok(match letter {
                '>' => Unpack::Order { big: true },
                '<' => Unpack::Order { big: false },
                'x' => Unpack::Skip,
                'b' => number(1, true),
                'B' => number(1, false),
                'h' => number(2, true),
                'H' => number(2, false),
                'i' => number(4, true),
                'I' => number(4, false),
                'q' => number(8, true),
                'Q' => number(8, false),
                'c' | '.' => Unpack::Letter,
                's' => Unpack::Rest,
                '$' => Unpack::End,
                other => return Err(format!("unpack knows > < x b B h H i I q Q c . s $, not {other}")),
            })
        })
        .collect()
}

/// Writes `bytes` by `steps`, numbers parted by a blank.
pub(super) fn write(steps: &[Unpack], mut bytes: &[u8], out: &mut dyn Write) -> std::io::Result<()> {
    let mut big = true;
    let mut first = true;
    for step in steps {
        let (length, shown) = match step {
            Unpack::Order { big: wanted } => {
                big = *wanted;
                continue;
            }
            Unpack::End if bytes.is_empty() => continue,
            Unpack::End => return write!(out, " <{} bytes too many>", bytes.len()),
            Unpack::Skip => (1, false),
            Unpack::Letter => (1, true),
            Unpack::Number { bytes, .. } => (*bytes, true),
            Unpack::Rest => (bytes.len(), true),
        };
        let Some((taken, rest)) = bytes.split_at_checked(length) else {
            return write!(out, "<{} bytes too few>", length - bytes.len());
        };
        bytes = rest;
        if !shown {
            continue;
        }
        if !first {
            out.write_all(b" ")?;
        }
        first = false;
        match step {
            Unpack::Number { signed, .. } => write!(out, "{}", number(taken, big, *signed))?,
            _ => out.write_all(taken)?,
        }
    }
    Ok(())
}

fn number(bytes: &[u8], big: bool, signed: bool) -> i128 {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let unsigned = if big {
        bytes.iter().fold(0, fold)
    } else {
        bytes.iter().rev().fold(0, fold)
    };
    let shift = 64 - 8 * bytes.len();
    if signed {
        i128::from((unsigned << shift) as i64 >> shift)
    } else {
        i128::from(unsigned)
    }
}
