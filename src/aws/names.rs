//! Names and paths as IAM has them, checked in its words, and the ARNs made of them. Pure.

use super::error::ApiError;
use super::parameters::{Parameters, pattern};

/// Longest path, in characters.
const PATH_MAX: usize = 512;

/// Characters of names, as the IAM API Reference writes them.
const NAME_PATTERN: &str = r"[\w+=,.@-]+";

impl Parameters {
    /// A name that must be there: of a user, group, role or policy. Errs: ValidationError.
    pub fn name(&self, parameter: &str, max: usize) -> Result<&str, ApiError> {
        check_name(parameter, self.text(parameter, max)?)
    }

    /// A name that may be missing. Errs: ValidationError.
    pub fn name_if(&self, parameter: &str, max: usize) -> Result<Option<&str>, ApiError> {
        match self.get(parameter) {
            None => Ok(None),
            Some(_) => self.name(parameter, max).map(Some),
        }
    }

    /// A path, if there is one. Errs: ValidationError.
    pub fn path_if(&self, parameter: &str) -> Result<Option<&str>, ApiError> {
        let Some(path) = self.text_if(parameter, PATH_MAX)? else { return Ok(None) };
        let fits = path.starts_with('/') && path.ends_with('/') && path.bytes().all(|b| b.is_ascii_graphic());
        match fits {
            true => Ok(Some(path)),
            false => Err(pattern(parameter, path, r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)")),
        }
    }

    /// `PathPrefix`; a slash when there is none. Errs: ValidationError.
    pub fn path_prefix(&self) -> Result<&str, ApiError> {
        let prefix = self.text_if("PathPrefix", PATH_MAX)?.unwrap_or("/");
        match prefix.starts_with('/') && prefix.bytes().all(|b| b.is_ascii_graphic()) {
            true => Ok(prefix),
            false => Err(pattern("PathPrefix", prefix, r"\u002F[\u0021-\u007E]*")),
        }
    }
}

fn check_name<'a>(parameter: &str, name: &'a str) -> Result<&'a str, ApiError> {
    match name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b)) {
        true => Ok(name),
        false => Err(pattern(parameter, name, NAME_PATTERN)),
    }
}

/// `arn:aws:iam::<account>:<kind><path><name>`
pub fn arn(account_id: &str, kind: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account_id}:{kind}{path}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(value: &str) -> Parameters {
        let escaped: String = value.bytes().map(|b| format!("%{b:02x}")).collect();
        Parameters::parse(&format!("P={escaped}&PathPrefix={escaped}")).unwrap()
    }

    #[test]
    fn names() {
        for good in ["ann", "A.b_c-d+e=f,g@h", &"x".repeat(64)] {
            assert_eq!(parameters(good).name("P", 64).unwrap(), good);
        }
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(parameters(bad).name("P", 64).is_err(), "{bad}");
        }
        assert_eq!(parameters("x").name_if("None", 64).unwrap(), None);
        let error = parameters("a b").name("P", 64).unwrap_err();
        assert!(error.message().ends_with(r"Member must satisfy regular expression pattern: [\w+=,.@-]+"));
    }

    #[test]
    fn paths() {
        for good in ["/", "/a/", "/a/b/"] {
            assert_eq!(parameters(good).path_if("P").unwrap(), Some(good));
        }
        for bad in ["", "a", "/a", "a/", "/ä/", "/a b/"] {
            assert!(parameters(bad).path_if("P").is_err(), "{bad}");
        }
        assert_eq!(parameters("/a").path_prefix().unwrap(), "/a");
        assert!(parameters("a").path_prefix().is_err());
        assert_eq!(Parameters::default().path_prefix().unwrap(), "/");
    }
}
