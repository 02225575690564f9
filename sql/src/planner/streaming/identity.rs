//! Names of stores and repartitions, from what is kept in them.
//!
//! Always true: the same operator over the same inputs gets the same name wherever it stands in a query and whatever stands beside it. The
//! catalogue remembers the names a view was created with, so that words which change with a version rename nothing.

/// The words for an operator over its inputs.
pub(super) fn over(operator: &str, inputs: &[&str]) -> String {
    format!("{operator}({})", inputs.join(", "))
}

/// `kind-` and eight hexadecimal digits.
pub(super) fn name(kind: &str, identity: &str) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in identity.as_bytes() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("{kind}-{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff))
}
