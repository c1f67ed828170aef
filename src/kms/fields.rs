//! The members of a request, read from JSON and checked in the words of AWS. Pure.
//!
//! What is no JSON, or of another type than the member has, is a SerializationException; what breaks a constraint a
//! ValidationException. A name that stands twice in an object is refused: two readers could take different ones for meant.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myfsio_actors::encryption::EncryptionContext;
use myfsio_actors::policy_engine::refuse_ambiguous;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::constraint::{self, shown};
use crate::s3::error::{ErrorCode, S3Error};

/// Longest id, ARN or alias, in characters.
const KEY_NAME_MAX: usize = 2048;
/// Most elements of a list. Each may become something that policies are asked about, so that there is a limit before they are.
const LIST_MAX: usize = 100;
/// Most bytes of an encryption context, as it is authenticated; for the same reason.
const CONTEXT_BYTES_MAX: usize = 8192;

/// The members of one request. Printing them shows their names only: a value may be a secret.
#[derive(Clone, Default, PartialEq)]
pub struct Fields {
    members: Map<String, Value>,
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.members.keys()).finish()
    }
}

impl Fields {
    /// Reads a body; an empty one has no members. Errs: SerializationException.
    pub fn parse(body: &[u8]) -> Result<Self, S3Error> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let text = str::from_utf8(body).map_err(|_| serialization("The request is not UTF-8."))?;
        let parsed = refuse_ambiguous(text).and_then(|()| serde_json::from_str(text));
        match parsed
            .map_err(|error| serialization(format!("The request is no JSON: {}.", shown(&error.to_string()))))?
        {
            Value::Object(members) => Ok(Self { members }),
            _ => Err(serialization("The request is no JSON object.")),
        }
    }

    /// The names of all members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// Drops what is none of these members.
    pub fn keep(&mut self, names: &[&str]) {
        self.members.retain(|name, _| names.contains(&name.as_str()));
    }

    /// Adds a member. Errs: ValidationException when it is there.
    pub fn add(&mut self, name: String, value: Value) -> Result<(), S3Error> {
        if self.members.contains_key(&name) {
            return Err(validation(format!("{} stands twice.", shown(&name))));
        }
        self.members.insert(name, value);
        Ok(())
    }

    /// The same under other names, those of structures in lists included; maps keep theirs, which are data. Errs: ValidationException
    /// when two have one name then.
    pub fn renamed(self, name_of: &impl Fn(&str) -> String) -> Result<Self, S3Error> {
        let mut renamed = Self::default();
        for (name, value) in self.members {
            let value = match value {
                Value::Array(list) => {
                    let element = |value| match value {
                        Value::Object(members) => Ok(Self { members }.renamed(name_of)?.members.into()),
                        value => Ok(value),
                    };
                    list.into_iter().map(element).collect::<Result<Vec<Value>, S3Error>>()?.into()
                }
                value => value,
            };
            renamed.add(name_of(&name), value)?;
        }
        Ok(renamed)
    }

    /// Puts another text in place of one, if there is one.
    pub fn respell(&mut self, name: &str, respelled: impl FnOnce(&str) -> String) {
        if let Some(Value::String(text)) = self.members.get_mut(name) {
            *text = respelled(text);
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// Whether there is such a member.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A text. Errs: SerializationException.
    pub fn text(&self, name: &str) -> Result<Option<&str>, S3Error> {
        self.get(name).map(|value| as_text(name, value)).transpose()
    }

    /// A text of at most `max` characters. Errs: SerializationException, ValidationException.
    pub fn text_up_to(&self, name: &str, max: usize) -> Result<Option<&str>, S3Error> {
        match self.text(name)? {
            Some(text) if text.chars().nth(max).is_some() => Err(broken(name, text, &constraint::at_most_long(max))),
            text => Ok(text),
        }
    }

    /// A text that must be there, of 1 to `max` characters. Errs: SerializationException, ValidationException.
    pub fn required(&self, name: &str, max: usize) -> Result<&str, S3Error> {
        match self.text_up_to(name, max)? {
            Some("") => Err(broken(name, "", "Member must have length greater than or equal to 1")),
            Some(text) => Ok(text),
            None => Err(missing(name)),
        }
    }

    /// The id, ARN or alias of a key that must be there. Errs: SerializationException, ValidationException.
    pub fn key(&self, name: &str) -> Result<&str, S3Error> {
        self.required(name, KEY_NAME_MAX)
    }

    /// The id, ARN or alias of a key. Errs: SerializationException, ValidationException.
    pub fn key_if(&self, name: &str) -> Result<Option<&str>, S3Error> {
        self.has(name).then(|| self.key(name)).transpose()
    }

    /// A whole number of a range. Errs: SerializationException, ValidationException.
    pub fn number(&self, name: &str, min: u32, max: u32) -> Result<Option<u32>, S3Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_i64().ok_or_else(|| of_another_type(name, value, "an Integer"))?;
        match (constraint::range(number, min.into(), max.into()), u32::try_from(number)) {
            (None, Ok(number)) => Ok(Some(number)),
            (constraint, _) => Err(broken(name, &number.to_string(), &constraint.unwrap_or_default())),
        }
    }

    /// `true` or `false`, which it is when it is not there. Errs: SerializationException.
    pub fn truth(&self, name: &str) -> Result<bool, S3Error> {
        match self.get(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| of_another_type(name, value, "a Boolean")),
        }
    }

    /// One of some words. Errs: SerializationException, ValidationException.
    pub fn word<'w>(&self, name: &str, words: &[&'w str]) -> Result<Option<&'w str>, S3Error> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let found = words.iter().find(|word| **word == text).copied();
        found.map(Some).ok_or_else(|| broken(name, text, &constraint::one_of(words)))
    }

    /// 1 to `max` bytes that must be there, in base64. Errs: SerializationException, ValidationException.
    pub fn blob(&self, name: &str, max: usize) -> Result<Zeroizing<Vec<u8>>, S3Error> {
        let text = self.text(name)?.ok_or_else(|| missing(name))?;
        let bytes = Zeroizing::new(
            STANDARD.decode(text).map_err(|_| serialization(format!("{name} is no text in base64 (RFC 4648, §4).")))?,
        );
        match bytes.len() {
            0 => Err(broken(name, "", "Member must have length greater than or equal to 1")),
            length if length > max => Err(broken(name, "…", &constraint::at_most_long(max))),
            _ => Ok(bytes),
        }
    }

    /// An encryption context, empty when there is none. Errs: SerializationException, ValidationException.
    pub fn context(&self, name: &str) -> Result<EncryptionContext, S3Error> {
        let Some(value) = self.get(name) else { return Ok(EncryptionContext::default()) };
        let pairs = value.as_object().ok_or_else(|| of_another_type(name, value, "a map"))?;
        let context = pairs.iter().map(|(key, value)| Ok((key.as_str(), as_text(name, value)?)));
        let context = context.collect::<Result<EncryptionContext, S3Error>>()?;
        match context.canonical().len() <= CONTEXT_BYTES_MAX {
            true => Ok(context),
            false => Err(validation(format!("An encryption context has at most {CONTEXT_BYTES_MAX} bytes."))),
        }
    }

    /// `Tags`; none when there are none. Errs: SerializationException, ValidationException.
    pub fn tags(&self, name: &str) -> Result<Vec<(String, String)>, S3Error> {
        let tag = |value: &Value| {
            let tag = value.as_object().ok_or_else(|| of_another_type(name, value, "a structure"))?;
            let part = |part| match tag.get(part) {
                Some(value) => as_text(part, value).map(str::to_owned),
                None => Err(missing(part)),
            };
            Ok((part("TagKey")?, part("TagValue")?))
        };
        self.list(name)?.iter().map(tag).collect()
    }

    /// A list of texts; none when there is none. Errs: SerializationException, ValidationException.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, S3Error> {
        self.list(name)?.iter().map(|value| as_text(name, value).map(str::to_owned)).collect()
    }

    fn list(&self, name: &str) -> Result<&[Value], S3Error> {
        let Some(value) = self.get(name) else { return Ok(&[]) };
        let list = value.as_array().ok_or_else(|| of_another_type(name, value, "a list"))?;
        match list.len() <= LIST_MAX {
            true => Ok(list),
            false => Err(broken(name, "…", &constraint::at_most_long(LIST_MAX))),
        }
    }
}

fn as_text<'a>(name: &str, value: &'a Value) -> Result<&'a str, S3Error> {
    value.as_str().ok_or_else(|| of_another_type(name, value, "a String"))
}

/// The refusal of a value of another type than its member has.
fn of_another_type(name: &str, value: &Value, wanted: &str) -> S3Error {
    let found = match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(_) => "BOOLEAN_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    };
    serialization(format!("{found} can not be converted to {wanted} ({name})"))
}

fn serialization(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with_message(ErrorCode::SerializationException, message)
}

/// The refusal of what breaks a constraint.
pub fn validation(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with_message(ErrorCode::ValidationException, message)
}

/// The refusal of a request without a member that must be there.
pub fn missing(name: &str) -> S3Error {
    validation(constraint::null(name))
}

fn broken(name: &str, value: &str, constraint: &str) -> S3Error {
    validation(constraint::broken(name, value, constraint))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        Fields::parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in
            ["{", "[]", "1", "null", "{\"a\":1,\"a\":2}", "{\"a\":{\"b\":1,\"b\":1}}", "\"x\"", "{}{}", "{\"a\":1e999}"]
        {
            assert_eq!(Fields::parse(body.as_bytes()).unwrap_err().code(), ErrorCode::SerializationException, "{body}");
        }
        assert_eq!(Fields::parse(b"{\"a\":\"\xff\"}").unwrap_err().code(), ErrorCode::SerializationException);
        let deep = "[".repeat(10_000);
        assert_eq!(Fields::parse(deep.as_bytes()).unwrap_err().code(), ErrorCode::SerializationException);
        for body in ["", " \r\n", "{}"] {
            assert_eq!(Fields::parse(body.as_bytes()).unwrap(), Fields::default(), "{body}");
        }
    }

    #[test]
    fn members_have_types() {
        let fields =
            fields(json!({"T": "text", "N": 7, "B": true, "L": ["a"], "M": {"a": "b"}, "Null": null, "F": 1.5,
            "E": "", "Tags": [{"TagKey": "k", "TagValue": "v"}], "Blob": "AAEC"}));
        assert_eq!((fields.text("T").unwrap(), fields.text("None").unwrap()), (Some("text"), None));
        assert_eq!((fields.text("Null").unwrap(), fields.has("Null")), (None, false));
        assert_eq!(fields.number("N", 1, 9).unwrap(), Some(7));
        assert_eq!((fields.truth("B").unwrap(), fields.truth("None").unwrap()), (true, false));
        assert_eq!(fields.texts("L").unwrap(), ["a"]);
        assert_eq!(fields.context("M").unwrap(), [("a", "b")].into_iter().collect());
        assert_eq!(fields.tags("Tags").unwrap(), [("k".to_owned(), "v".to_owned())]);
        assert_eq!(*fields.blob("Blob", 3).unwrap(), [0, 1, 2]);
        assert_eq!(fields.word("T", &["word", "text"]).unwrap(), Some("text"));
        let message = |refused: S3Error| (refused.code(), refused.message().to_owned());
        let code = |refused: S3Error| refused.code();
        for refused in [
            fields.text("N").unwrap_err(),
            fields.text("L").unwrap_err(),
            fields.number("T", 1, 9).unwrap_err(),
            fields.number("F", 1, 9).unwrap_err(),
            fields.truth("T").unwrap_err(),
            fields.texts("M").unwrap_err(),
            fields.context("L").unwrap_err(),
            fields.tags("L").unwrap_err(),
            fields.blob("T", 9).map(|_| ()).map_err(|_| fields.text("B").unwrap_err()).unwrap_err(),
            Fields::parse(br#"{"M": {"a": 1}}"#).unwrap().context("M").unwrap_err(),
            Fields::parse(br#"{"Blob": "AAE"}"#).unwrap().blob("Blob", 9).unwrap_err(),
        ] {
            assert_eq!(code(refused), ErrorCode::SerializationException);
        }
        assert_eq!(
            message(fields.number("N", 8, 9).unwrap_err()),
            (
                ErrorCode::ValidationException,
                "1 validation error detected: Value '7' at 'n' failed to satisfy constraint: Member must have value greater \
                 than or equal to 8"
                    .to_owned()
            )
        );
        for refused in [
            fields.number("N", 1, 6).unwrap_err(),
            fields.key("E").unwrap_err(),
            fields.key("None").unwrap_err(),
            fields.text_up_to("T", 3).map(|_| ()).unwrap_err(),
            fields.blob("Blob", 2).unwrap_err(),
            fields.blob("E", 2).unwrap_err(),
            fields.blob("None", 2).unwrap_err(),
            fields.word("T", &["word"]).unwrap_err(),
            self::fields(json!({"L": vec!["x"; LIST_MAX + 1]})).texts("L").unwrap_err(),
            self::fields(json!({"M": {"a": "x".repeat(CONTEXT_BYTES_MAX)}})).context("M").unwrap_err(),
            Fields::parse(br#"{"Tags": [{"TagKey": "k"}]}"#).unwrap().tags("Tags").unwrap_err(),
        ] {
            assert_eq!(code(refused), ErrorCode::ValidationException);
        }
        assert!(format!("{fields:?}").contains("Blob") && !format!("{fields:?}").contains("AAEC"));
    }

    #[test]
    fn members_get_other_names() {
        let upper = |name: &str| name.to_uppercase();
        let renamed = fields(json!({"a": "x", "b": [{"c": 2}, 3], "d": {"e": 4}})).renamed(&upper).unwrap();
        assert_eq!(renamed, fields(json!({"A": "x", "B": [{"C": 2}, 3], "D": {"e": 4}})));
        assert!(fields(json!({"a": 1, "A": 2})).renamed(&upper).is_err());
        assert!(fields(json!({"a": [{"b": 1, "B": 2}]})).renamed(&upper).is_err());
        let mut kept = renamed;
        kept.keep(&["A", "Z"]);
        kept.respell("A", |text| format!("{text}{text}"));
        kept.respell("Z", str::to_owned);
        assert_eq!(kept, fields(json!({"A": "xx"})));
    }

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            "[A-Za-z0-9+/]{0,8}={0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map("[A-Za-z]{1,8}|TagKey|TagValue", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect::<Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Fields::parse(&body);
        }

        #[test]
        fn whatever_a_member_is_it_is_read_or_refused_as_a_bad_request(value in anything(), max in 0usize..9) {
            let fields = fields(json!({"Member": value.clone()}));
            let text = fields.required("Member", max);
            if let Ok(text) = &text {
                prop_assert!(value == **text && (1..=max).contains(&text.chars().count()));
            }
            if let Ok(blob) = fields.blob("Member", max) {
                prop_assert!(value.as_str() == Some(STANDARD.encode(&*blob).as_str()) && (1..=max).contains(&blob.len()));
            }
            if let Ok(Some(number)) = fields.number("Member", 1, 9) {
                prop_assert!(value == number && (1..=9).contains(&number));
            }
            if let Ok(context) = fields.context("Member") {
                let same = serde_json::to_value(&context).unwrap();
                prop_assert!(value == same || (value.is_null() && context.is_empty()));
            }
            if let (Ok(tags), Some(list)) = (fields.tags("Member"), value.as_array()) {
                prop_assert_eq!(tags.len(), list.len());
            }
            let refused = [
                text.err(), fields.blob("Member", max).err(), fields.number("Member", 1, 9).err(), fields.truth("Member").err(),
                fields.context("Member").err(), fields.tags("Member").err(), fields.texts("Member").err(),
                fields.word("Member", &["a"]).err(), fields.key_if("Member").err(),
            ];
            for refused in refused.into_iter().flatten() {
                prop_assert!(refused.code().status() == 400);
                prop_assert!(refused.message().len() < 1500);
            }
        }
    }
}
