//! With which credentials another server is asked: those of the environment, or of a profile, as AWS's own tools take them. None is ever
//! an argument, which every user of the machine could read.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::s3::auth::SecretText;

/// An access key with its secret, and the token of a temporary one.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Access key id.
    pub access_key_id: String,
    /// Its secret.
    pub secret: SecretText,
    /// Session token.
    pub token: Option<SecretText>,
}

impl Credentials {
    /// Those of a profile, if one is named, else those of the environment, else those of the profile that it names. Errs: there are
    /// none.
    pub fn find(profile: Option<&str>) -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let of_environment = || {
            let field = |name: &str| variable(&format!("AWS_{}", name.to_ascii_uppercase()));
            Self::of(&field)
        };
        if profile.is_none()
            && let Some(found) = of_environment()
        {
            return Ok(found);
        }
        let named = variable("AWS_PROFILE");
        let profile = profile.or(named.as_deref()).unwrap_or("default");
        let path = match variable("AWS_SHARED_CREDENTIALS_FILE") {
            Some(path) => PathBuf::from(path),
            None => PathBuf::from(variable("HOME").unwrap_or_default()).join(".aws/credentials"),
        };
        let missing = |why: &dyn std::fmt::Display| {
            format!(
                "no credentials for the source: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of {} ({why})",
                path.display()
            )
        };
        let text = std::fs::read_to_string(&path).map_err(|error| missing(&error))?;
        let fields = of_profile(&text, profile);
        Self::of(&|name| fields.get(name).map(|value| (*value).to_owned()))
            .ok_or_else(|| missing(&format_args!("it has no keys for the profile {profile}")))
    }

    fn of(field: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        Some(Self {
            access_key_id: field("access_key_id").or_else(|| field("aws_access_key_id"))?,
            secret: SecretText::new(field("secret_access_key").or_else(|| field("aws_secret_access_key"))?),
            token: field("session_token").or_else(|| field("aws_session_token")).map(SecretText::new),
        })
    }
}

/// Names and values of a profile in a credentials file (AWS CLI User Guide, "Configuration and credential file settings").
fn of_profile<'a>(text: &'a str, profile: &str) -> HashMap<&'a str, &'a str> {
    let mut fields = HashMap::new();
    let mut is_here = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_here = section.trim() == profile;
        } else if is_here
            && !line.starts_with(['#', ';'])
            && let Some((name, value)) = line.split_once('=')
        {
            fields.insert(name.trim(), value.trim());
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles() {
        let text =
            "[default]\naws_access_key_id = A\naws_secret_access_key=S=1\n# x = y\n\n[ other ]\naws_access_key_id=B\n";
        let found = |profile: &str| {
            let fields = of_profile(text, profile);
            Credentials::of(&|name| fields.get(name).map(|value| (*value).to_owned()))
        };
        let first = found("default").unwrap();
        assert_eq!((first.access_key_id.as_str(), first.secret.expose()), ("A", "S=1"));
        assert!(found("other").is_none(), "it has no secret");
        assert!(found("third").is_none());
    }
}
