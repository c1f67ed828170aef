//! What a decision considered on its way: told to whoever watches, so that a refusal can be explained by the very code that
//! refused.

use super::condition::Condition;
use super::context::Facts;
use super::decision::{Source, StatementRef};
use super::document::{Effect, Outcome, Statement};
use super::principal::Meant;

/// Most statements that a trace keeps.
const STATEMENTS_MAX: usize = 1000;
/// Most values of a condition that a trace keeps.
const VALUES_MAX: usize = 20;
/// Most characters of such a value.
const VALUE_CHARACTERS_MAX: usize = 256;

/// Who is told what a decision considers.
pub(super) trait Watch {
    /// Whether to be told of the statements behind the one that decides, too.
    const WHOLE: bool;

    /// A statement of a document.
    fn statement(
        &mut self,
        source: &dyn Fn() -> Source,
        index: usize,
        statement: &Statement,
        outcome: Outcome<'_>,
        facts: &Facts<'_>,
    );

    /// A grant of the short form.
    fn grant(&mut self, source: &dyn Fn() -> Source, gives: bool);

    /// Something that no statement says.
    fn note(&mut self, note: &'static str);
}

/// Nobody watches.
impl Watch for () {
    const WHOLE: bool = false;

    fn statement(&mut self, _: &dyn Fn() -> Source, _: usize, _: &Statement, _: Outcome<'_>, _: &Facts<'_>) {}

    fn grant(&mut self, _: &dyn Fn() -> Source, _: bool) {}

    fn note(&mut self, _: &'static str) {}
}

/// What a decision considered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// Statements and grants, in the order in which they were asked.
    pub considered: Vec<Considered>,
    /// What else had a say: settings of the bucket, lists.
    pub notes: Vec<&'static str>,
}

/// A statement or grant that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered {
    /// Which one.
    pub statement: StatementRef,
    /// What it does when it applies.
    pub effect: Effect,
    /// Whether it did.
    pub fit: Fit,
}

/// Whether a statement applied to a request, or why not. The first that differs is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It applied.
    Applies,
    /// It applied to the caller's account, which may give the right on.
    AppliesToAccount,
    /// It means others.
    OtherPrincipal,
    /// It is about other actions.
    OtherAction,
    /// It is about other resources.
    OtherResource,
    /// A condition did not hold.
    Unmet {
        /// The operator as written, such as `StringEqualsIfExists`.
        operator: Box<str>,
        /// The condition key.
        key: Box<str>,
        /// What the statement wants.
        wanted: Vec<Box<str>>,
        /// What the request has.
        found: Vec<Box<str>>,
    },
    /// A grant of the short form that gives other actions, buckets or prefixes.
    GrantsOthers,
}

impl Fit {
    fn unmet(condition: &Condition, facts: &Facts<'_>) -> Self {
        let found = condition.found(facts).take(VALUES_MAX);
        Self::Unmet {
            operator: Box::from(condition.operator_name()),
            key: Box::from(condition.key()),
            wanted: condition.texts().iter().take(VALUES_MAX).map(|text| cut(text)).collect(),
            found: found.map(|value| cut(&value.into_text())).collect(),
        }
    }
}

fn cut(text: &str) -> Box<str> {
    match text.char_indices().nth(VALUE_CHARACTERS_MAX) {
        Some((end, _)) => text.get(..end).map(|head| format!("{head}…")).unwrap_or_default().into_boxed_str(),
        None => Box::from(text),
    }
}

impl Watch for Trace {
    const WHOLE: bool = true;

    fn statement(
        &mut self,
        source: &dyn Fn() -> Source,
        index: usize,
        statement: &Statement,
        outcome: Outcome<'_>,
        facts: &Facts<'_>,
    ) {
        if self.considered.len() >= STATEMENTS_MAX {
            return;
        }
        let fit = match outcome {
            Outcome::Applies(Meant::ByAccount) => Fit::AppliesToAccount,
            Outcome::Applies(Meant::Directly) => Fit::Applies,
            Outcome::OtherPrincipal | Outcome::Applies(Meant::Not) => Fit::OtherPrincipal,
            Outcome::OtherAction => Fit::OtherAction,
            Outcome::OtherResource => Fit::OtherResource,
            Outcome::Unmet(condition) => Fit::unmet(condition, facts),
        };
        let reference = StatementRef { source: source(), index: Some(index), sid: statement.sid.clone() };
        self.considered.push(Considered { statement: reference, effect: statement.effect, fit });
    }

    fn grant(&mut self, source: &dyn Fn() -> Source, gives: bool) {
        if self.considered.len() >= STATEMENTS_MAX {
            return;
        }
        let statement = StatementRef { source: source(), index: None, sid: None };
        let fit = if gives { Fit::Applies } else { Fit::GrantsOthers };
        self.considered.push(Considered { statement, effect: Effect::Allow, fit });
    }

    fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}
