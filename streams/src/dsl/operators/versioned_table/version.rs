//! One version of a key as it is stored: from when to when which value held. The layout stands at the top of `history.rs`.
//!
//! Always true: reading what was written gives it back, and bytes that end too early are an error, never a shorter version.

use millpond_log::types::Timestamp;

use crate::processor::BoxError;
use crate::state::window_key;

const TIME: &str = "time";
pub(super) const COUNT_LEN: usize = 4;
/// End of a version that no other followed.
pub(super) const OPEN: Timestamp = Timestamp::MAX;

/// What held for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// `None` = nothing: the key was deleted at `from`.
    pub(super) value: Option<Vec<u8>>,
}

#[derive(Debug, thiserror::Error)]
#[error("a stored version is cut short")]
pub(super) struct CutShort;

impl Version {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(17 + self.value.as_ref().map_or(0, Vec::len));
        bytes.extend_from_slice(&self.from.to_be_bytes());
        bytes.extend_from_slice(&self.to.to_be_bytes());
        bytes.push(u8::from(self.value.is_some()));
        bytes.extend_from_slice(self.value.as_deref().unwrap_or_default());
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Version, BoxError> {
        let VersionRef { from, to, value } = VersionRef::parse(bytes)?;
        let value = value.map(<[u8]>::to_vec);
        Ok(Version { from, to, value })
    }
}

/// A version where it is stored.
pub(super) struct VersionRef<'a> {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) value: Option<&'a [u8]>,
}

impl VersionRef<'_> {
    pub(super) fn parse(bytes: &[u8]) -> Result<VersionRef<'_>, BoxError> {
        let (from, rest) = bytes.split_first_chunk::<8>().ok_or(CutShort)?;
        let (to, rest) = rest.split_first_chunk::<8>().ok_or(CutShort)?;
        let (has_value, value) = rest.split_first().ok_or(CutShort)?;
        Ok(VersionRef {
            from: Timestamp::from_be_bytes(*from),
            to: Timestamp::from_be_bytes(*to),
            value: (*has_value != 0).then_some(value),
        })
    }
}

/// In front of all versions: timestamps are not negative.
pub(super) fn time_key() -> Vec<u8> {
    window_key::encode(Timestamp::MIN, TIME.as_bytes())
}

pub(super) fn split_head(stored: &[u8]) -> Result<(u32, &[u8]), BoxError> {
    let (count, version) = stored.split_first_chunk::<COUNT_LEN>().ok_or(CutShort)?;
    Ok((u32::from_be_bytes(*count), version))
}
