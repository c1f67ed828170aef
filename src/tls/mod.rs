//! TLS of the node's own listeners (RFC 8446, RFC 5246): the certificate and its renewal, the handshake, and what requests know of it.
//!
//! Only HTTP/1.1 is offered (ALPN, RFC 7301); `docs/decisions.md` says why. Without a certificate the listeners speak plain HTTP, and
//! nothing of this is in the way.

mod accept;
mod acceptor;
mod anybody;
mod mark;
mod pair;
mod validity;
mod version;

pub use accept::{Socket, accept};
pub use acceptor::{Certificate, Tls, Watch};
pub use anybody::over_tls_with_anybody;
pub use mark::{HEADER, Mark, client_is_secure, client_suite, client_version, stamp};
pub use pair::{Paths, Unusable};
pub use validity::{Standing, Term};
pub use version::TlsVersion;
