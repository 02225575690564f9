//! What travels between the two sides of a foreign-key join, and its bytes.
//!
//! ```text
//! subscription  version 1 | instruction | partition i32 | 0, or 1 and hash (16) | left key
//! response      version 1 | partition i32 | 0, or 1 and hash (16) | 0, or 1 and right value
//! ```
//! Numbers big-endian. The subscription's record key is the foreign key, or null; the response's is the left key.

use super::hash::ValueHash;
use crate::serde::{Serde, SerdeError, SerdeRef};

const VERSION: u8 = 1;

/// What the right side is to do with a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    /// Forget it; the left side asked somewhere else meanwhile.
    DeleteWithoutAnswer,
    /// Forget it, and answer that nothing joins.
    DeleteAndAnswer,
    /// Note it, and answer also when there is nothing to join.
    AnswerAlways,
    /// Note it, and answer if there is something to join.
    AnswerIfFound,
    /// Answer, also when there is nothing to join; it is noted already, or will be.
    AskAgain,
}

impl Instruction {
    fn of_byte(byte: u8) -> Option<Instruction> {
        Some(match byte {
            0 => Instruction::DeleteWithoutAnswer,
            1 => Instruction::DeleteAndAnswer,
            2 => Instruction::AnswerAlways,
            3 => Instruction::AnswerIfFound,
            4 => Instruction::AskAgain,
            _ => return None,
        })
    }

    fn to_byte(self) -> u8 {
        match self {
            Instruction::DeleteWithoutAnswer => 0,
            Instruction::DeleteAndAnswer => 1,
            Instruction::AnswerAlways => 2,
            Instruction::AnswerIfFound => 3,
            Instruction::AskAgain => 4,
        }
    }
}

/// A left entry asks for a right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dsl) struct Subscription<K> {
    pub(super) instruction: Instruction,
    /// Partition of the left entry, where the answer goes.
    pub(super) partition: i32,
    /// Hash of the left value; none when the entry was deleted.
    pub(super) hash: Option<ValueHash>,
    /// Key of the left entry.
    pub(super) key: K,
}

/// What the right table has for a left entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dsl) struct Response<V> {
    /// Partition of the left entry.
    pub(in crate::dsl) partition: i32,
    /// Hash of the left value that asked.
    pub(super) hash: Option<ValueHash>,
    pub(super) value: Option<V>,
}

/// See the module's text.
pub(in crate::dsl) struct SubscriptionSerde<K>(pub(in crate::dsl) SerdeRef<K>);

impl<K: 'static> Serde<Subscription<K>> for SubscriptionSerde<K> {
    fn serialize(&self, subscription: &Subscription<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.push(VERSION);
        out.push(subscription.instruction.to_byte());
        out.extend_from_slice(&subscription.partition.to_be_bytes());
        put_hash(subscription.hash.as_ref(), out);
        self.0.serialize(&subscription.key, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Subscription<K>, SerdeError> {
        let rest = take_version(bytes, "subscription")?;
        let read = || {
            let (instruction, rest) = rest.split_first()?;
            let (partition, rest) = rest.split_first_chunk::<4>()?;
            let (hash, rest) = take_hash(rest)?;
            let instruction = Instruction::of_byte(*instruction)?;
            Some((instruction, i32::from_be_bytes(*partition), hash, rest))
        };
        let (instruction, partition, hash, key) = read().ok_or_else(|| damaged("subscription"))?;
        Ok(Subscription {
            instruction,
            partition,
            hash,
            key: self.0.deserialize(key)?,
        })
    }

    fn detach(&self, subscription: &mut Subscription<K>) {
        self.0.detach(&mut subscription.key);
    }

    fn heap_bytes(&self, subscription: &Subscription<K>) -> Option<usize> {
        self.0.heap_bytes(&subscription.key)
    }
}

/// See the module's text.
pub(in crate::dsl) struct ResponseSerde<V>(pub(in crate::dsl) SerdeRef<V>);

impl<V: 'static> Serde<Response<V>> for ResponseSerde<V> {
    fn serialize(&self, response: &Response<V>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.push(VERSION);
        out.extend_from_slice(&response.partition.to_be_bytes());
        put_hash(response.hash.as_ref(), out);
        out.push(u8::from(response.value.is_some()));
        match &response.value {
            Some(value) => self.0.serialize(value, out),
            None => Ok(()),
        }
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Response<V>, SerdeError> {
        let rest = take_version(bytes, "response")?;
        let read = || {
            let (partition, rest) = rest.split_first_chunk::<4>()?;
            let (hash, rest) = take_hash(rest)?;
            let (found, value) = rest.split_first()?;
            Some((
                i32::from_be_bytes(*partition),
                hash,
                (*found == 1).then_some(value),
            ))
        };
        let (partition, hash, value) = read().ok_or_else(|| damaged("response"))?;
        let value = value.map(|bytes| self.0.deserialize(bytes)).transpose()?;
        Ok(Response {
            partition,
            hash,
            value,
        })
    }

    fn detach(&self, response: &mut Response<V>) {
        if let Some(value) = &mut response.value {
            self.0.detach(value);
        }
    }

    fn heap_bytes(&self, response: &Response<V>) -> Option<usize> {
        response
            .value
            .as_ref()
            .map_or(Some(0), |value| self.0.heap_bytes(value))
    }
}

pub(super) fn put_hash(hash: Option<&ValueHash>, out: &mut Vec<u8>) {
    out.push(u8::from(hash.is_some()));
    out.extend_from_slice(hash.map_or(&[], ValueHash::as_slice));
}

pub(super) fn take_hash(bytes: &[u8]) -> Option<(Option<ValueHash>, &[u8])> {
    let (has_hash, rest) = bytes.split_first()?;
    if *has_hash == 0 {
        return Some((None, rest));
    }
    let (hash, rest) = rest.split_first_chunk::<16>()?;
    Some((Some(*hash), rest))
}

fn take_version<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a [u8], SerdeError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((version, _)) => Err(SerdeError::Format {
            format: what,
            cause: format!("version {version}, but only {VERSION} is known"),
        }),
        None => Err(damaged(what)),
    }
}

fn damaged(what: &'static str) -> SerdeError {
    SerdeError::Format {
        format: what,
        cause: "it is cut short or damaged".to_owned(),
    }
}

#[cfg(test)]
#[path = "messages_test.rs"]
mod messages_test;
