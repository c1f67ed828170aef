//! Replication as HTTP: the S3 client by which the worker sends changes to other nodes and services.
//!
//! The worker (`myfsio_actors::replication_worker`) decides what is sent and when; this says it in requests. What other nodes send
//! comes in through the S3 API as any other request (`s3::replica`).

mod bundle;
mod client;
mod content;
mod cut;
mod fetch;
pub mod handshake;
mod multipart;
mod object;
mod peer;
mod sign;
mod target;
pub mod together;
mod uploads;

use std::net::IpAddr;

use myfsio_actors::address::{is_public, is_public_or_private};
use myfsio_actors::outgoing::Allowed;

pub use client::{Ask, Download, Failure, Place, Remote, Reply, S3Client};
pub use content::{Payload, Pieces};
pub use fetch::ReplicaReader;
pub use peer::HttpPeer;
pub use reqwest::Method;
pub use sign::Signer;
pub(crate) use sign::Unsigned;
pub use target::Endpoint;
pub(crate) use target::query;
pub use uploads::{Remembered, Uploads, What as UploadOf};

/// Which addresses connections may lead to. Link-local ones, where clouds tell machines their secrets, are never among them.
pub fn allowed(private: bool) -> Allowed {
    let allows: fn(IpAddr) -> bool = match private {
        true => is_public_or_private,
        false => is_public,
    };
    Allowed { allows, refusal: "the endpoint's address is none that may be spoken to (see ALLOW_PRIVATE_ENDPOINTS)" }
}

/// Whether an endpoint can be used, as far as its text tells. Errs: why not.
pub fn check_endpoint(text: &str, allow_private: bool) -> Result<(), String> {
    allowed(allow_private).check(Endpoint::parse(text)?.url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_are_never_spoken_to() {
        for (endpoint, private, public) in [
            ("http://127.0.0.1:5000", true, false),
            ("http://10.1.2.3", true, false),
            ("http://[::1]:5000", true, false),
            ("https://8.8.8.8", true, true),
            ("https://s3.example.com", true, true),
            ("http://169.254.169.254", false, false),
            ("http://[fe80::1]", false, false),
            ("http://[fd00:ec2::254]", false, false),
            ("http://0xa9fea9fe", false, false),
            ("http://[::ffff:169.254.169.254]", false, false),
            ("http://0.0.0.0", false, false),
        ] {
            let taken = [true, false].map(|allow| check_endpoint(endpoint, allow).is_ok());
            assert_eq!(taken, [private, public], "{endpoint}");
        }
    }
}
