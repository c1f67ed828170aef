//! Conditions of a statement: all operators, and all keys of an operator, must hold (IAM User Guide, "Conditions with
//! multiple context keys or values").

use serde_json::Value;

use super::condition_keys::is_known;
use super::condition_operators::{Operator, Test, Wanted, arn_parts};
use super::context::{Facts, Found};
use super::error::InvalidPolicy;

/// How a key with several values is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    /// None given: as `ForAnyValue`.
    Single,
    ForAllValues,
    ForAnyValue,
}

/// One operator with one key and its values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    operator: Operator,
    quantifier: Quantifier,
    if_exists: bool,
    key: Box<str>,
    /// The key in lower case, as it is compared.
    lower_key: Box<str>,
    wanted: Vec<Wanted>,
    /// Operator and values as they are written, for those who read why a statement does not apply.
    name: Box<str>,
    texts: Vec<Box<str>>,
}

/// How a document is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    /// Policy variables have a meaning: since version 2012-10-17.
    pub variables: bool,
    /// Actions and keys of services other than S3 are allowed: in identity policies.
    pub other_services: bool,
}

impl Condition {
    /// Parses the value of `Condition`.
    pub fn parse_all(value: &Value, place: &str, dialect: Dialect) -> Result<Vec<Self>, InvalidPolicy> {
        let operators = value.as_object().ok_or_else(|| InvalidPolicy::new(place, "must be an object"))?;
        let mut conditions = Vec::new();
        for (name, keys) in operators {
            let place = format!("{place}.{name}");
            let (operator, quantifier, if_exists) =
                parse_operator(name).ok_or_else(|| InvalidPolicy::new(&*place, "is not a condition operator"))?;
            let keys = keys.as_object().filter(|keys| !keys.is_empty());
            let keys = keys.ok_or_else(|| InvalidPolicy::new(&*place, "must be an object of condition keys"))?;
            for (key, values) in keys {
                let place = format!("{place}.{key}");
                if !is_known(key, dialect.other_services) {
                    return Err(InvalidPolicy::new(place, "is not a condition key"));
                }
                let (wanted, texts) = parse_values(operator.test, values, &place, dialect)?;
                let (lower_key, name) = (key.to_ascii_lowercase().into(), Box::from(name.as_str()));
                let key = Box::from(key.as_str());
                conditions.push(Self { operator, quantifier, if_exists, key, lower_key, wanted, name, texts });
            }
        }
        Ok(conditions)
    }

    /// The key that it asks for, as it is written.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The key that it asks for, in lower case.
    pub fn lower_key(&self) -> &str {
        &self.lower_key
    }

    /// What the request has for its key.
    pub fn found<'s>(&'s self, facts: &'s Facts<'_>) -> impl Iterator<Item = Found<'s>> {
        facts.values(&self.lower_key)
    }

    /// The operator as it is written.
    pub fn operator_name(&self) -> &str {
        &self.name
    }

    /// The values as they are written.
    pub fn texts(&self) -> &[Box<str>] {
        &self.texts
    }

    /// Names of the policy variables in its values.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.wanted.iter().flat_map(Wanted::variables)
    }

    /// Whether it holds for nothing but fixed values of its key: neither without the key, nor for a pattern of values.
    pub fn is_fixed(&self) -> bool {
        let is_positive = !self.operator.negated && !self.if_exists && self.quantifier != Quantifier::ForAllValues;
        is_positive && self.wanted.iter().all(Wanted::is_fixed)
    }

    /// Whether it holds for a request.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        let mut found = self.found(facts).peekable();
        let is_absent = found.peek().is_none();
        if self.operator.test == Test::Null {
            return self.wanted.contains(&Wanted::Null(is_absent));
        }
        if is_absent {
            // Without the key, "is not" holds and "is" does not; of no values, all fit and none does.
            return match self.quantifier {
                Quantifier::ForAllValues => true,
                Quantifier::ForAnyValue => self.if_exists,
                Quantifier::Single => self.if_exists || self.operator.negated,
            };
        }
        let lookup = |name: &str| facts.variable(name);
        let fits = |value: Found<'_>| match self.operator.test {
            Test::Arn => {
                let text = value.into_text();
                let parts = arn_parts(&text);
                parts.is_some_and(|parts| self.wanted.iter().any(|wanted| wanted.fits_arn(&parts, &lookup)))
            }
            test => {
                let value = if test.compares_text() { Found::Text(value.into_text()) } else { value };
                self.wanted.iter().any(|wanted| wanted.fits(&value, &lookup))
            }
        };
        let negated = self.operator.negated;
        match self.quantifier {
            Quantifier::ForAllValues => found.all(|value| fits(value) != negated),
            Quantifier::ForAnyValue => found.any(|value| fits(value) != negated),
            Quantifier::Single => found.any(fits) != negated,
        }
    }
}

fn parse_operator(name: &str) -> Option<(Operator, Quantifier, bool)> {
    let (quantifier, rest) = match name.split_once(':') {
        None => (Quantifier::Single, name),
        Some(("ForAllValues", rest)) => (Quantifier::ForAllValues, rest),
        Some(("ForAnyValue", rest)) => (Quantifier::ForAnyValue, rest),
        Some(_) => return None,
    };
    let (base, if_exists) = match rest.strip_suffix("IfExists") {
        Some(base) => (base, true),
        None => (rest, false),
    };
    let operator = Operator::parse(base)?;
    if operator.test == Test::Null && (if_exists || quantifier != Quantifier::Single) {
        return None;
    }
    Some((operator, quantifier, if_exists))
}

/// The values, and how they are written.
type Values = (Vec<Wanted>, Vec<Box<str>>);

fn parse_values(test: Test, values: &Value, place: &str, dialect: Dialect) -> Result<Values, InvalidPolicy> {
    let list = match values {
        Value::Array(list) => list.as_slice(),
        single => std::slice::from_ref(single),
    };
    if list.is_empty() {
        return Err(InvalidPolicy::new(place, "has no value"));
    }
    let (mut wanted, mut texts) = (Vec::with_capacity(list.len()), Vec::with_capacity(list.len()));
    for value in list {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(truth) => truth.to_string(),
            Value::Number(number) => number.to_string(),
            _ => return Err(InvalidPolicy::new(place, "must be a text, number or truth value, or a list of them")),
        };
        let parsed = Wanted::parse(test, &text, dialect.variables).map_err(|e| InvalidPolicy::new(place, e))?;
        if let Some(name) = parsed.variables().into_iter().find(|name| !is_known(name, dialect.other_services)) {
            return Err(InvalidPolicy::new(place, format!("`{name}` is no policy variable")));
        }
        wanted.push(parsed);
        texts.push(text.into_boxed_str());
    }
    Ok((wanted, texts))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::context::RequestContext;
    use super::*;

    const DIALECT: Dialect = Dialect { variables: true, other_services: false };

    fn holds(condition: &Value, values: &[(&'static str, &str)]) -> bool {
        let mut context = RequestContext::default();
        for (key, value) in values {
            context.add(*key, *value);
        }
        let is_write = condition.to_string().contains("s3:RequestObjectTag");
        let action = if is_write { "s3:PutObject" } else { "s3:ListBucket" };
        let facts = Facts::new(None, action, &context, None, &[]);
        Condition::parse_all(condition, "Condition", DIALECT).unwrap().iter().all(|c| c.holds(&facts))
    }

    #[test]
    fn table() {
        const P: &str = "s3:prefix";
        const T: &str = "s3:RequestObjectTagKeys";
        type Row = (Value, &'static [(&'static str, &'static str)], bool);
        let rows: &[Row] = &[
            (json!({"StringEquals": {"s3:prefix": "a"}}), &[(P, "a")], true),
            (json!({"StringEquals": {"S3:PREFIX": "a"}}), &[(P, "a")], true),
            (json!({"StringEquals": {"s3:prefix": ["a", "b"]}}), &[(P, "b")], true),
            (json!({"StringEquals": {"s3:prefix": "a"}}), &[], false),
            (json!({"StringEqualsIfExists": {"s3:prefix": "a"}}), &[], true),
            (json!({"StringEqualsIfExists": {"s3:prefix": "a"}}), &[(P, "b")], false),
            (json!({"StringNotEquals": {"s3:prefix": "a"}}), &[], true),
            (json!({"StringNotEquals": {"s3:prefix": ["a", "b"]}}), &[(P, "b")], false),
            (json!({"StringNotEquals": {"s3:prefix": ["a", "b"]}}), &[(P, "c")], true),
            (json!({"StringLike": {"s3:prefix": "a*"}}), &[(P, "abc")], true),
            (json!({"StringNotLike": {"s3:prefix": "a*"}}), &[(P, "abc")], false),
            (json!({"StringEqualsIgnoreCase": {"s3:prefix": "ABC"}}), &[(P, "abc")], true),
            (json!({"Null": {"s3:prefix": "true"}}), &[], true),
            (json!({"Null": {"s3:prefix": true}}), &[(P, "")], false),
            (json!({"Null": {"s3:prefix": "false"}}), &[(P, "a")], true),
            (json!({"NumericLessThan": {"s3:max-keys": 10}}), &[("s3:max-keys", "9")], true),
            (json!({"NumericLessThan": {"s3:max-keys": "10"}}), &[("s3:max-keys", "11")], false),
            (json!({"Bool": {"aws:SecureTransport": false}}), &[], true),
            (json!({"Bool": {"aws:SecureTransport": "true"}}), &[], false),
            (json!({"StringEquals": {"s3:prefix": "a"}, "Null": {"s3:delimiter": "true"}}), &[(P, "a")], true),
            (json!({"StringEquals": {"s3:prefix": "a", "s3:delimiter": "/"}}), &[(P, "a")], false),
            (
                json!({"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a", "b"]}}),
                &[(T, "a"), (T, "b")],
                true,
            ),
            (json!({"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a"]}}), &[(T, "a"), (T, "b")], false),
            (json!({"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a"]}}), &[], true),
            (json!({"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": ["a"]}}), &[(T, "b"), (T, "a")], true),
            (json!({"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": ["a"]}}), &[], false),
            (json!({"ForAnyValue:StringNotEquals": {"s3:RequestObjectTagKeys": ["a"]}}), &[(T, "a"), (T, "b")], true),
            (json!({"ForAllValues:StringNotEquals": {"s3:RequestObjectTagKeys": ["a"]}}), &[(T, "a"), (T, "b")], false),
            (json!({"StringEquals": {"s3:prefix": "${s3:delimiter}"}}), &[(P, "/"), ("s3:delimiter", "/")], true),
            (json!({"StringEquals": {"s3:prefix": "${s3:delimiter}"}}), &[(P, "/")], false),
            (json!({"StringEquals": {"aws:PrincipalType": "Anonymous"}}), &[], true),
            (json!({"DateGreaterThan": {"aws:CurrentTime": "1969-12-31T23:59:59Z"}}), &[], true),
            (json!({"DateLessThan": {"aws:EpochTime": "1"}}), &[], true),
        ];
        for (condition, values, expected) in rows {
            assert_eq!(holds(condition, values), *expected, "{condition} {values:?}");
        }
    }

    #[test]
    fn refused() {
        for condition in [
            json!([]),
            json!({"StringSame": {"s3:prefix": "a"}}),
            json!({"StringEquals": {}}),
            json!({"StringEquals": "a"}),
            json!({"StringEquals": {"s3:unknown": "a"}}),
            json!({"StringEquals": {"s3:prefix": []}}),
            json!({"StringEquals": {"s3:prefix": {}}}),
            json!({"StringEquals": {"s3:prefix": null}}),
            json!({"StringEquals": {"s3:prefix": "${s3:unknown}"}}),
            json!({"NullIfExists": {"s3:prefix": "true"}}),
            json!({"ForAllValues:Null": {"s3:prefix": "true"}}),
            json!({"ForSome:StringEquals": {"s3:prefix": "a"}}),
            json!({"IpAddress": {"aws:SourceIp": "300.0.0.1"}}),
            json!({"BoolIfExistsIfExists": {"aws:SecureTransport": "true"}}),
        ] {
            assert!(Condition::parse_all(&condition, "Condition", DIALECT).is_err(), "{condition}");
        }
    }
}
