//! Cookies (RFC 6265): what the console reads of them, and how it writes its own.

use actix_http::RequestHead;

use super::address::{host, port_of};

/// Longest value that is looked at, in bytes.
const VALUE_BYTES_MAX: usize = 256;

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Names a session.
    Session,
    /// Binds a log-in form to the browser that it was given to.
    SigningIn,
    /// Which colours are wanted.
    Theme,
    /// In which zone times are told.
    Zone,
}

/// How cookies are named and guarded on one connection.
#[derive(Debug, Clone)]
pub struct Jar {
    secure: bool,
    port: String,
}

impl Jar {
    /// Of a request. `secure`: whether it came over TLS.
    pub fn of(head: &RequestHead, secure: bool) -> Self {
        Self { secure, port: port_of(host(head)).to_owned() }
    }

    /// The name. Over TLS the prefix keeps other hosts and paths from setting it; else the port tells nodes of one host apart,
    /// which cookies do not.
    pub fn name(&self, kind: Kind) -> String {
        let word = match kind {
            Kind::Session => "session",
            Kind::SigningIn => "signing-in",
            Kind::Theme => "theme",
            Kind::Zone => "zone",
        };
        match self.secure {
            true => format!("__Host-myfsio-{word}"),
            false => format!("myfsio-{word}-{}", self.port),
        }
    }

    /// The cookie's value, if the request has exactly one of this name.
    pub fn get<'a>(&self, head: &'a RequestHead, kind: Kind) -> Option<&'a str> {
        let name = self.name(kind);
        let pairs = head.headers.get_all("cookie").filter_map(|value| value.to_str().ok());
        let pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
        let first = values.next().filter(|value| value.len() <= VALUE_BYTES_MAX)?;
        values.next().is_none().then_some(first)
    }

    /// A `Set-Cookie` header. No time lets it end with the browser; zero ends it now.
    pub fn set(&self, kind: Kind, value: &str, seconds: Option<u64>) -> String {
        let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{age}{secure}", self.name(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn head(cookies: &[&'static str]) -> RequestHead {
        let mut head = RequestHead::default();
        head.headers.insert(HeaderName::from_static("host"), HeaderValue::from_static("node:5100"));
        for cookie in cookies {
            head.headers.append(HeaderName::from_static("cookie"), HeaderValue::from_static(cookie));
        }
        head
    }

    #[test]
    fn one_of_its_name_is_read() {
        let read = |cookies: &[&'static str]| {
            let head = head(cookies);
            Jar::of(&head, false).get(&head, Kind::Session).map(str::to_owned)
        };
        assert_eq!(read(&["a=b; myfsio-session-5100=x"]).as_deref(), Some("x"));
        assert_eq!(read(&["myfsio-session-5101=x"]), None, "another node's");
        assert_eq!(read(&["myfsio-session-5100=x; myfsio-session-5100=y"]), None, "planted beside ours");
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn over_tls_it_is_bound_to_the_host() {
        let jar = Jar::of(&head(&[]), true);
        let set = jar.set(Kind::Session, "x", None);
        assert_eq!(set, "__Host-myfsio-session=x; Path=/; HttpOnly; SameSite=Lax; Secure");
        let plain = Jar::of(&head(&[]), false).set(Kind::Session, "", Some(0));
        assert_eq!(plain, "myfsio-session-5100=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }
}
