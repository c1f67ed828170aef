//! How AWS words that a value is not what it may be ("1 validation error detected: …"). Pure.

/// Most characters of a value that an error repeats.
const REPEATED_MAX: usize = 128;

/// Something that must be there is not.
pub fn null(name: &str) -> String {
    let member = member_name(name);
    format!(
        "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
    )
}

/// A value breaks a constraint.
pub fn broken(name: &str, value: &str, constraint: &str) -> String {
    let (member, value) = (member_name(name), shown(value));
    format!("1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}")
}

/// The constraint of a text that has too many characters, or a blob that has too many bytes.
pub fn at_most_long(max: usize) -> String {
    format!("Member must have length less than or equal to {max}")
}

/// The constraint of a number outside of its range; none within.
pub fn range<N: PartialOrd + std::fmt::Display>(number: N, min: N, max: N) -> Option<String> {
    if number < min {
        return Some(format!("Member must have value greater than or equal to {min}"));
    }
    (number > max).then(|| format!("Member must have value less than or equal to {max}"))
}

/// The constraint of a word that is none of those that may be.
pub fn one_of(words: &[&str]) -> String {
    format!("Member must satisfy enum value set: [{}]", words.join(", "))
}

/// The constraint of a text that does not fit a regular expression of the API Reference.
pub fn fitting(expression: &str) -> String {
    format!("Member must satisfy regular expression pattern: {expression}")
}

/// As much of a value as an error repeats.
pub fn shown(value: &str) -> String {
    value.chars().take(REPEATED_MAX).collect()
}

/// The name as AWS has it in validation errors, which begins with a small letter.
fn member_name(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}
