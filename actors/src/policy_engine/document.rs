//! A parsed policy document and whether its statements apply to a request.

use super::action_set::{ActionSet, Place};
use super::actions::{ACTIONS, ActionRow, is_of_objects};
use super::condition::Condition;
use super::condition_keys::actions_with;
use super::context::{Facts, OBJECT_TAG_PREFIX};
use super::decision::Source;
use super::pattern::{Pattern, no_variables};
use super::principal::{Meant, PrincipalClause, PrincipalIds};
use super::trace::Watch;
use crate::iam::Principal;

/// Longest bucket policy, in bytes (S3 User Guide, "Bucket policies").
pub const DOCUMENT_BYTES_MAX: usize = 20 * 1024;

/// What a statement does when it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Permits, unless another denies.
    Allow,
    /// Refuses, whatever else permits.
    Deny,
}

/// Patterns of which one must fit, or, when negated, none may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    pub patterns: Vec<Pattern>,
    pub negated: bool,
}

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    pub sid: Option<Box<str>>,
    pub effect: Effect,
    /// `None` in identity policies: whoever holds the policy.
    pub principals: Option<PrincipalClause>,
    pub actions: Clause,
    /// What the actions are, as far as the table has them.
    pub about: ActionSet,
    /// Patterns over whole ARNs.
    pub resources: Clause,
    pub conditions: Vec<Condition>,
}

/// A policy document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    pub statements: Vec<Statement>,
    /// Whether a statement asks for the tags of the object, which must be looked up for it.
    pub asks_object_tags: bool,
}

/// What is asked for, as documents see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Canonical name with service: `s3:GetObject`.
    action: &'a str,
    /// Where it stands in the table of actions, if there.
    place: Option<Place>,
    /// ARN of the resource.
    resource: &'a str,
}

impl<'a> Asked<'a> {
    /// The question for an action, by its canonical name with service, to the resource of this ARN.
    pub fn new(action: &'a str, resource: &'a str) -> Self {
        Self { action, place: Place::of(action), resource }
    }
}

/// How a statement applies to a request, or what of it is about something else: the first of its elements that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outcome<'a> {
    Applies(Meant),
    OtherPrincipal,
    OtherAction,
    OtherResource,
    Unmet(&'a Condition),
}

impl Statement {
    /// How the statement applies to the caller and request.
    pub fn outcome(&self, asked: Asked<'_>, facts: &Facts<'_>) -> Outcome<'_> {
        let meant = self.principals.as_ref().map_or(Meant::Directly, |clause| clause.means(facts.principal));
        if meant == Meant::Not {
            return Outcome::OtherPrincipal;
        }
        self.misfit(asked, facts).unwrap_or(Outcome::Applies(meant))
    }

    /// Whether action, resource and conditions fit, whoever asks.
    pub fn covers(&self, asked: Asked<'_>, facts: &Facts<'_>) -> bool {
        self.misfit(asked, facts).is_none()
    }

    /// Which of action, resource and conditions does not fit.
    fn misfit(&self, asked: Asked<'_>, facts: &Facts<'_>) -> Option<Outcome<'_>> {
        if !self.about.is_about(&self.actions, asked.action, asked.place) {
            return Some(Outcome::OtherAction);
        }
        let lookup = |name: &str| facts.variable(name);
        let is_named = self.resources.patterns.iter().any(|pattern| pattern.matches(asked.resource, &lookup));
        if is_named == self.resources.negated {
            return Some(Outcome::OtherResource);
        }
        self.conditions.iter().find(|condition| !condition.holds(facts)).map(Outcome::Unmet)
    }
}

impl Statement {
    /// Whether it asks for the tags of the object.
    fn asks_object_tags(&self) -> bool {
        let in_values = self.conditions.iter().flat_map(Condition::variables);
        let in_resources = self.resources.patterns.iter().flat_map(Pattern::variables);
        let mut names = self.conditions.iter().map(Condition::lower_key).chain(in_values).chain(in_resources);
        names.any(|name| name.to_ascii_lowercase().starts_with(OBJECT_TAG_PREFIX))
    }
}

/// What a document says to a request; a number is the index of the deciding statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Denied(usize),
    Allowed(usize),
    /// Allowed to the caller's account, which may give it on.
    AllowedToAccount(usize),
    Silent,
}

impl Document {
    /// A document of these statements.
    pub fn new(statements: Vec<Statement>) -> Self {
        let asks_object_tags = statements.iter().any(Statement::asks_object_tags);
        Self { statements, asks_object_tags }
    }

    /// The names of users and roles in `Principal` and `NotPrincipal`, with the place of the statement.
    pub fn principals(&self) -> impl Iterator<Item = (usize, String)> {
        let clauses = self.statements.iter().enumerate();
        clauses.flat_map(|(index, statement)| {
            statement.principals.iter().flat_map(move |clause| clause.texts().map(move |text| (index, text)))
        })
    }

    /// Ties those names to whom they meant when the document was put.
    pub fn tie(&mut self, ids: &PrincipalIds) {
        self.statements
            .iter_mut()
            .filter_map(|statement| statement.principals.as_mut())
            .for_each(|clause| clause.tie(ids));
    }

    /// The first condition on a key that no action of its statement has: the statement, and the key.
    pub fn idle_condition(&self) -> Option<(usize, &str)> {
        self.statements.iter().enumerate().find_map(|(index, statement)| {
            let is_about = |action: &str| statement.about.is_about(&statement.actions, action, Place::of(action));
            let is_idle = |condition: &&Condition| {
                actions_with(condition.lower_key())
                    .is_some_and(|actions| !actions.iter().any(|&action| is_about(action)))
            };
            statement.conditions.iter().find(is_idle).map(|condition| (index, condition.key()))
        })
    }

    /// The first pattern of actions that are to be denied, and none of which can be done to a resource of its statement: the
    /// statement, and one such action. `bucket` is the ARN of the policy's bucket. What is negated is about all the rest, and so about
    /// something. To allow what cannot be done harms nobody, and the public test suite does it.
    pub fn idle_denial(&self, bucket: &str) -> Option<(usize, &'static str)> {
        let denies = |(_, statement): &(usize, &Statement)| {
            statement.effect == Effect::Deny && !statement.actions.negated && !statement.resources.negated
        };
        self.statements.iter().enumerate().filter(denies).find_map(|(index, statement)| {
            let resources = &statement.resources.patterns;
            let has_objects = resources.iter().any(|pattern| pattern.may_have(b'/'));
            let is_bucket = |pattern: &Pattern| pattern.has_variables() || pattern.matches(bucket, &no_variables);
            let has_bucket = resources.iter().any(is_bucket);
            statement.actions.patterns.iter().find_map(|pattern| {
                let mut about = ACTIONS.iter().filter(|row| pattern.matches_ignoring_case(row.name, &no_variables));
                let first = about.clone().next()?;
                let applies = |row: &ActionRow| if is_of_objects(row.checks) { has_objects } else { has_bucket };
                (!about.any(applies)).then_some((index, first.name))
            })
        })
    }

    /// Whether a statement names the principal, its role or its session by its ARN.
    pub fn names(&self, principal: &Principal) -> bool {
        self.statements
            .iter()
            .filter_map(|statement| statement.principals.as_ref())
            .any(|clause| clause.names(principal))
    }

    /// Asks every statement: the first deny decides, else the strongest allow. Who watches is told of each, as one of `source`.
    pub fn verdict<W: Watch>(
        &self,
        asked: Asked<'_>,
        facts: &Facts<'_>,
        source: &dyn Fn() -> Source,
        watch: &mut W,
    ) -> Verdict {
        let mut verdict = Verdict::Silent;
        for (index, statement) in self.statements.iter().enumerate() {
            let outcome = statement.outcome(asked, facts);
            watch.statement(source, index, statement, outcome, facts);
            let Outcome::Applies(meant) = outcome else { continue };
            verdict = match (meant, statement.effect, verdict) {
                (Meant::Not, _, _) | (_, _, Verdict::Denied(_)) => continue,
                (_, Effect::Deny, _) if W::WHOLE => Verdict::Denied(index),
                (_, Effect::Deny, _) => return Verdict::Denied(index),
                (_, Effect::Allow, Verdict::Allowed(first)) => Verdict::Allowed(first),
                (Meant::Directly, Effect::Allow, _) => Verdict::Allowed(index),
                (Meant::ByAccount, Effect::Allow, Verdict::AllowedToAccount(first)) => Verdict::AllowedToAccount(first),
                (Meant::ByAccount, Effect::Allow, _) => Verdict::AllowedToAccount(index),
            };
        }
        verdict
    }

    /// Whether one who is no principal may, such as a service: a statement that means it allows it and none denies it.
    pub fn allows(&self, means: impl Fn(&PrincipalClause) -> bool, asked: Asked<'_>, facts: &Facts<'_>) -> bool {
        let meant = |statement: &&Statement| {
            statement.principals.as_ref().is_some_and(&means) && statement.covers(asked, facts)
        };
        let mut applying = self.statements.iter().filter(meant).peekable();
        applying.peek().is_some() && applying.all(|statement| statement.effect == Effect::Allow)
    }
}
