//! Whether a node is deployed as it should be: what is looked at, what was found, and what to do about it.
//!
//! `facts` looks, `judge` judges; what the configuration says is handed over at the start as a [`Deployment`]. A check that
//! cannot look says so, and never fails for others.

mod deployment;
mod facts;
mod judge;

use serde::Serialize;

use crate::node::Node;

pub use deployment::Deployment;

/// How something is, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Nothing is wrong, but there is something to know.
    Note,
    /// Better done otherwise.
    Warn,
    /// Mend it.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Names it for programs.
    pub id: &'static str,
    /// Names it for people.
    pub title: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do; empty where nothing is.
    pub advice: &'static str,
}

/// Looks at everything. Takes a moment: a file is written to see that it can be.
pub async fn run(node: &Node) -> Vec<Check> {
    judge::judge(&node.settings.deployment, &facts::gather(node).await)
}
