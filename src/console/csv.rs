//! Comma-separated values (RFC 4180) as a file to download.
//!
//! What strangers named may begin like a formula, which spreadsheets would carry out: such a value gets an apostrophe before it.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

use super::route::Outcome;

/// A table.
#[derive(Debug)]
pub struct Csv(String);

impl Csv {
    /// One with these columns.
    pub fn new(columns: &[&str]) -> Self {
        let mut csv = Self(String::new());
        csv.row(columns);
        csv
    }

    /// Adds a row.
    pub fn row<T: AsRef<str>>(&mut self, values: &[T]) {
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            self.value(value.as_ref());
        }
        self.0.push_str("\r\n");
    }

    fn value(&mut self, value: &str) {
        let is_formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']) && value.parse::<f64>().is_err();
        let mark = if is_formula { "'" } else { "" };
        match value.contains([',', '"', '\r', '\n']) || is_formula {
            true => self.0.push_str(&format!("\"{mark}{}\"", value.replace('"', "\"\""))),
            false => self.0.push_str(value),
        }
    }

    /// The answer, as a file of this name.
    pub fn answer(self, name: &str) -> Outcome {
        Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
            .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
            .body(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_values() {
        let mut csv = Csv::new(&["a", "b"]);
        csv.row(&["x,y", "say \"no\""]);
        csv.row(&["=1+1", "-1.5"]);
        csv.row(&["@cmd", "line\nline"]);
        assert_eq!(csv.0, "a,b\r\n\"x,y\",\"say \"\"no\"\"\"\r\n\"'=1+1\",-1.5\r\n\"'@cmd\",\"line\nline\"\r\n");
    }
}
