//! A join of a table with another on a key taken from the first one's value (KIP-213).
//!
//! ```text
//! left table ─ send ─▶ subscription topic ─ receive ─┐             left table
//!               by foreign key        │ store   ▲    ├─▶ response topic ─ respond ─▶ result
//!                           right table ─ right_change┘      by left key
//! ```
//! `send` tells the task of the right key that a left entry wants it; `receive` notes that in the subscription store and answers with what the right table has;
//! `right_change` answers every subscriber when the right entry changes; `respond` joins the answer with the left entry, if that is still the one that asked: every
//! message carries a hash of the left value. Always true: of two changes of a left entry only answers to the later one have an effect, whatever way they took.
//!
//! Kafka Streams' inner join leaves out answers that bring no news: a changed left entry that keeps its foreign key, or comes anew, is not told that it joins
//! nothing. But what would have told it so before may come too late: the right entry was deleted while the change was under way, say, and the answer
//! belongs to the old left value. There the old result stands for ever. Here an answer of nothing that comes too late makes `respond` ask once more.

mod hash;
mod messages;
mod receive;
mod respond;
mod right_change;
mod send;
mod subscription_store;

pub(in crate::dsl) use messages::{Response, ResponseSerde, Subscription, SubscriptionSerde};
pub(in crate::dsl) use receive::ReceiveSubscriptions;
pub(in crate::dsl) use respond::{AskAgain, ForeignResult, JoinResponses};
pub(in crate::dsl) use right_change::AnswerSubscribers;
pub(in crate::dsl) use send::SendSubscriptions;
pub(in crate::dsl) use subscription_store::SubscriptionKeys;
