//! Decisions, told: why a request was refused, for as long as a day, and what would be decided of one that nobody sent.
//!
//! An error that refuses a request carries its [`Why`]; where the error becomes an answer, and nowhere else, it is kept under
//! the request's id. So whatever refuses comes through the same door, and a question whose answer is only looked at leaves
//! nothing behind. INVARIANT: what is told is what the evaluator itself considered; nothing here decides.

mod explanation;
mod log;
mod shelf;
mod told;

pub use explanation::{Explanation, Named, Who, Why, in_words_of_aws};
pub use log::{Circumstances, DecisionLog, FURTHER_MAX, Refused};
pub use shelf::{Shelf, Source};
pub use told::{Asker, hide_policies_of_the_caller, hide_the_caller};
