//! `VersioningConfiguration` (S3 API Reference, PutBucketVersioning).

use myfsio_actors::storage::Versioning;

use super::read::{self, MalformedXml};
use super::write::XmlWriter;
use crate::s3::error::{ErrorCode, S3Error};

/// Reads the state that is asked for. Errs: MalformedXML; NotImplemented for MFA delete.
pub fn versioning_configuration(body: &[u8]) -> Result<Versioning, S3Error> {
    let root = read::parse(body, "VersioningConfiguration")?;
    let mut status = None;
    for child in root.fields()? {
        match (child.name.as_str(), child.leaf()?.trim()) {
            ("Status", "Enabled") => status = Some(Versioning::Enabled),
            ("Status", "Suspended") => status = Some(Versioning::Suspended),
            ("MfaDelete", "Disabled") => {}
            ("MfaDelete", "Enabled") => {
                return Err(S3Error::with_message(ErrorCode::NotImplemented, "MFA delete is not implemented."));
            }
            _ => return Err(child.unexpected().into()),
        }
    }
    status.ok_or_else(|| MalformedXml::new("no Status").into())
}

/// The document of a state; empty while versioning was never enabled.
pub fn write_versioning(versioning: Versioning) -> String {
    let mut document = XmlWriter::new("VersioningConfiguration");
    match versioning {
        Versioning::Off => {}
        Versioning::Enabled => drop(document.text("Status", "Enabled")),
        Versioning::Suspended => drop(document.text("Status", "Suspended")),
    }
    document.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back() {
        for state in [Versioning::Enabled, Versioning::Suspended] {
            assert_eq!(versioning_configuration(write_versioning(state).as_bytes()).unwrap(), state);
        }
        let code = |body: &str| versioning_configuration(body.as_bytes()).unwrap_err().code();
        assert_eq!(code(&write_versioning(Versioning::Off)), ErrorCode::MalformedXML);
        let of = |inside: &str| format!("<VersioningConfiguration>{inside}</VersioningConfiguration>");
        assert_eq!(code(&of("<Status>On</Status>")), ErrorCode::MalformedXML);
        assert_eq!(code(&of("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>")), ErrorCode::NotImplemented);
    }
}
