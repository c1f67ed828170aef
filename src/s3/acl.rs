//! Access control lists as requests ask for them: canned, by grant headers, or by document (S3 User Guide, "Access control list
//! overview").

use actix_web::http::header::HeaderMap;
use myfsio_actors::bucket_config::{Acl, Grant, Grantee, Permission};
use myfsio_actors::iam::Directory;
use myfsio_actors::names::CanonicalId;

use super::error::{ErrorCode, S3Error};
use super::headers::text;
use super::xml::access::{NamedGrant, NamedGrantee, group};

/// Most grants of a list.
pub const GRANTS_MAX: usize = 100;

/// Headers with grants, in the order in which their grants stand in the list.
const GRANT_HEADERS: [(&str, Permission); 5] = [
    ("x-amz-grant-read", Permission::Read),
    ("x-amz-grant-write", Permission::Write),
    ("x-amz-grant-read-acp", Permission::ReadAcp),
    ("x-amz-grant-write-acp", Permission::WriteAcp),
    ("x-amz-grant-full-control", Permission::FullControl),
];

/// A canned list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canned {
    /// The owner alone; also `aws-exec-read`, since nobody of this node is the service that it lets read.
    Private,
    /// Everybody may read.
    PublicRead,
    /// Everybody may read and write.
    PublicReadWrite,
    /// Everybody with credentials may read.
    AuthenticatedRead,
    /// The bucket's owner may read the object.
    BucketOwnerRead,
    /// The bucket's owner has full control of the object.
    BucketOwnerFullControl,
    /// Access logs may be delivered into the bucket.
    LogDeliveryWrite,
}

const CANNED: [(&str, Canned); 8] = [
    ("private", Canned::Private),
    ("aws-exec-read", Canned::Private),
    ("public-read", Canned::PublicRead),
    ("public-read-write", Canned::PublicReadWrite),
    ("authenticated-read", Canned::AuthenticatedRead),
    ("bucket-owner-read", Canned::BucketOwnerRead),
    ("bucket-owner-full-control", Canned::BucketOwnerFullControl),
    ("log-delivery-write", Canned::LogDeliveryWrite),
];

/// What the list is of.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A bucket.
    Bucket {
        /// Its owner.
        owner: &'a CanonicalId,
    },
    /// An object.
    Object {
        /// Its owner.
        owner: &'a CanonicalId,
        /// The owner of its bucket.
        bucket_owner: &'a CanonicalId,
    },
}

impl<'a> Subject<'a> {
    /// Its owner.
    pub fn owner(self) -> &'a CanonicalId {
        match self {
            Self::Bucket { owner } | Self::Object { owner, .. } => owner,
        }
    }
}

/// What a request's headers ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedAcl {
    /// Nothing.
    Default,
    /// A canned list.
    Canned(Canned),
    /// Grants.
    Grants(Vec<NamedGrant>),
}

impl AskedAcl {
    /// Reads `x-amz-acl` and `x-amz-grant-*`. Errs: InvalidArgument, InvalidRequest for both kinds at once.
    pub fn of(headers: &HeaderMap) -> Result<Self, S3Error> {
        let mut grants = Vec::new();
        let mut has_grants = false;
        for (name, permission) in GRANT_HEADERS {
            for value in headers.get_all(name) {
                has_grants = true;
                let value = value.to_str().map_err(|_| malformed_grant(name, ""))?;
                for grantee in named_grantees(name, value)? {
                    grants.push(NamedGrant { grantee, permission });
                }
            }
        }
        match text(headers, "x-amz-acl").filter(|canned| !canned.is_empty()) {
            Some(_) if has_grants => Err(S3Error::with_message(
                ErrorCode::InvalidRequest,
                "Specifying both Canned ACLs and Header Grants is not allowed",
            )),
            Some(canned) => match CANNED.iter().find(|(name, _)| *name == canned) {
                Some((_, canned)) => Ok(Self::Canned(*canned)),
                None => Err(S3Error::invalid_argument("x-amz-acl", &canned, "The canned ACL is not one of S3's.")),
            },
            None if has_grants => Ok(Self::Grants(grants)),
            None => Ok(Self::Default),
        }
    }

    /// The list. Errs: InvalidArgument for unknown users and groups, and for a canned list that such a subject cannot have;
    /// UnresolvableGrantByEmailAddress, AmbiguousGrantByEmailAddress, MalformedACLError for too many grants.
    pub fn resolve(self, subject: Subject<'_>, directory: &Directory) -> Result<Acl, S3Error> {
        match self {
            Self::Default => Ok(Acl::of_owner(subject.owner())),
            Self::Canned(canned) => canned_acl(canned, subject),
            Self::Grants(grants) => resolve_grants(grants, directory),
        }
    }
}

/// The grants of a canned list. The groups stand first, as in every list; see [`resolve_grants`].
fn canned_acl(canned: Canned, subject: Subject<'_>) -> Result<Acl, S3Error> {
    let to_bucket_owner = |permission| match subject {
        Subject::Object { owner, bucket_owner } if owner != bucket_owner => {
            vec![(Grantee::User(bucket_owner.clone()), permission)]
        }
        // S3 ignores these for buckets, and an owner has full control anyway.
        Subject::Object { .. } | Subject::Bucket { .. } => Vec::new(),
    };
    let (first, last) = match canned {
        Canned::Private => (Vec::new(), Vec::new()),
        Canned::PublicRead => (vec![(Grantee::AllUsers, Permission::Read)], Vec::new()),
        Canned::PublicReadWrite => {
            (vec![(Grantee::AllUsers, Permission::Read), (Grantee::AllUsers, Permission::Write)], Vec::new())
        }
        Canned::AuthenticatedRead => (vec![(Grantee::AuthenticatedUsers, Permission::Read)], Vec::new()),
        Canned::BucketOwnerRead => (Vec::new(), to_bucket_owner(Permission::Read)),
        Canned::BucketOwnerFullControl => (Vec::new(), to_bucket_owner(Permission::FullControl)),
        Canned::LogDeliveryWrite => match subject {
            Subject::Bucket { .. } => {
                let logs = Grantee::LogDelivery;
                (vec![(logs.clone(), Permission::Write), (logs, Permission::ReadAcp)], Vec::new())
            }
            Subject::Object { .. } => {
                let message = "log-delivery-write is a canned ACL of buckets.";
                return Err(S3Error::invalid_argument("x-amz-acl", "log-delivery-write", message));
            }
        },
    };
    let owner = [(Grantee::User(subject.owner().clone()), Permission::FullControl)];
    let all = first.into_iter().chain(owner).chain(last);
    Ok(Acl { grants: all.map(|(grantee, permission)| Grant { grantee, permission }).collect() })
}

/// The grants with the users and groups that they name; the groups first, as the public test suite expects them. Errs as
/// [`AskedAcl::resolve`].
pub fn resolve_grants(named: Vec<NamedGrant>, directory: &Directory) -> Result<Acl, S3Error> {
    if named.len() > GRANTS_MAX {
        let message = format!("An access control list has at most {GRANTS_MAX} grants.");
        return Err(S3Error::with_message(ErrorCode::MalformedACLError, message));
    }
    let resolved = named.into_iter().map(|NamedGrant { grantee, permission }| {
        let grantee = match grantee {
            NamedGrantee::Id(id) => user(&id, directory)?,
            NamedGrantee::Uri(uri) => {
                group(&uri).ok_or_else(|| S3Error::invalid_argument("uri", &uri, "Invalid group uri"))?
            }
            NamedGrantee::Email(email) => by_email(&email, directory)?,
        };
        Ok(Grant { grantee, permission })
    });
    let mut grants = resolved.collect::<Result<Vec<Grant>, S3Error>>()?;
    grants.sort_by_key(|grant| matches!(grant.grantee, Grantee::User(_)));
    Ok(Acl { grants })
}

fn user(id: &str, directory: &Directory) -> Result<Grantee, S3Error> {
    match CanonicalId::parse(id) {
        Ok(known) if directory.knows(&known) => Ok(Grantee::User(known)),
        _ => Err(S3Error::invalid_argument("CanonicalUser/ID", id, "Invalid id")),
    }
}

fn by_email(email: &str, directory: &Directory) -> Result<Grantee, S3Error> {
    let mut found = directory.by_email(email);
    match (found.next(), found.next()) {
        (Some(user), None) => Ok(Grantee::User(user.clone())),
        (Some(_), Some(_)) => Err(S3Error::new(ErrorCode::AmbiguousGrantByEmailAddress).field("EmailAddress", email)),
        (None, _) => Err(S3Error::new(ErrorCode::UnresolvableGrantByEmailAddress).field("EmailAddress", email)),
    }
}

/// Reads `id="…", uri="…", emailAddress="…"`. S3 takes the values without quotation marks too.
fn named_grantees(header: &str, value: &str) -> Result<Vec<NamedGrantee>, S3Error> {
    let malformed = || malformed_grant(header, value);
    let mut grantees = Vec::new();
    let mut rest = value.trim();
    while !rest.is_empty() {
        let (kind, behind) = rest.split_once('=').ok_or_else(malformed)?;
        let behind = behind.trim_start();
        let (name, behind) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(malformed)?,
            None => behind.split_at(behind.find(',').unwrap_or(behind.len())),
        };
        let name = name.trim().to_owned();
        grantees.push(match kind.trim().to_ascii_lowercase().as_str() {
            "id" => NamedGrantee::Id(name),
            "uri" => NamedGrantee::Uri(name),
            "emailaddress" => NamedGrantee::Email(name),
            _ => return Err(malformed()),
        });
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(',') {
            Some(next) if !next.trim().is_empty() => next.trim_start(),
            None if behind.is_empty() => behind,
            _ => return Err(malformed()),
        };
    }
    if grantees.is_empty() { Err(malformed()) } else { Ok(grantees) }
}

fn malformed_grant(header: &str, value: &str) -> S3Error {
    S3Error::invalid_argument(header, value, "Argument format not recognized")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn asked(pairs: &[(&'static str, &str)]) -> Result<AskedAcl, ErrorCode> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        AskedAcl::of(&headers).map_err(|e| e.code())
    }

    fn id(text: &str) -> NamedGrantee {
        NamedGrantee::Id(text.to_owned())
    }

    #[test]
    fn headers() {
        assert_eq!(asked(&[]), Ok(AskedAcl::Default));
        assert_eq!(asked(&[("x-amz-acl", "public-read")]), Ok(AskedAcl::Canned(Canned::PublicRead)));
        assert_eq!(asked(&[("x-amz-acl", "public")]), Err(ErrorCode::InvalidArgument));
        assert_eq!(asked(&[("x-amz-acl", "private"), ("x-amz-grant-read", "id=a")]), Err(ErrorCode::InvalidRequest));
        let grants = asked(&[("x-amz-grant-full-control", "id=a"), ("x-amz-grant-read", "id=\"b\", id=c")]);
        let named = |name, permission| NamedGrant { grantee: id(name), permission };
        assert_eq!(
            grants,
            Ok(AskedAcl::Grants(vec![
                named("b", Permission::Read),
                named("c", Permission::Read),
                named("a", Permission::FullControl),
            ]))
        );
    }

    #[test]
    fn grantees() {
        let parse = |value: &str| named_grantees("x-amz-grant-read", value).map_err(|e| e.code());
        let email = NamedGrantee::Email("a@x".to_owned());
        assert_eq!(parse("emailAddress=\"a@x\""), Ok(vec![email.clone()]));
        assert_eq!(parse(" ID = \"a,b\" ,EMAILADDRESS=a@x"), Ok(vec![id("a,b"), email]));
        assert_eq!(parse("uri=http://x/y?z=1"), Ok(vec![NamedGrantee::Uri("http://x/y?z=1".to_owned())]));
        for bad in ["", " ", "a", "name=a", "id=\"a", "id=\"a\" b", "id=a,", ",id=a", "=a"] {
            assert_eq!(parse(bad), Err(ErrorCode::InvalidArgument), "{bad}");
        }
    }

    #[test]
    fn canned_lists() {
        let (me, owner) = (CanonicalId::from_bytes([1; 32]), CanonicalId::from_bytes([2; 32]));
        let of_bucket = |canned| canned_acl(canned, Subject::Bucket { owner: &owner }).map(|acl| acl.grants.len());
        let of_object = |canned, bucket_owner| {
            canned_acl(canned, Subject::Object { owner: &me, bucket_owner }).map(|acl| acl.grants.len())
        };
        for (name, canned) in CANNED {
            let expected = match name {
                "private" | "aws-exec-read" => (1, Some(1), Some(1)),
                "public-read" | "authenticated-read" => (2, Some(2), Some(2)),
                "public-read-write" => (3, Some(3), Some(3)),
                "log-delivery-write" => (3, None, None),
                _ => (1, Some(2), Some(1)),
            };
            let found = (of_bucket(canned).unwrap(), of_object(canned, &owner).ok(), of_object(canned, &me).ok());
            assert_eq!(found, expected, "{name}");
        }
        let acl = canned_acl(Canned::BucketOwnerRead, Subject::Object { owner: &me, bucket_owner: &owner }).unwrap();
        assert!(!acl.is_public() && acl.shares_beyond(&[&me]) && !acl.shares_beyond(&[&me, &owner]));
        assert!(canned_acl(Canned::AuthenticatedRead, Subject::Bucket { owner: &me }).unwrap().is_public());
        assert!(!canned_acl(Canned::LogDeliveryWrite, Subject::Bucket { owner: &me }).unwrap().is_public());
    }

    proptest! {
        #[test]
        fn grantees_never_panic(value in "[a-zA-Z=\", @é]{0,40}") {
            let _ = named_grantees("x-amz-grant-read", &value);
        }

        #[test]
        fn quoted_ids_come_back(names in proptest::collection::vec("[^\"\\p{C}]{1,12}", 1..5)) {
            let value: Vec<String> = names.iter().map(|name| format!("id=\"{name}\"")).collect();
            let read = named_grantees("x-amz-grant-read", &value.join(", ")).unwrap();
            let expected: Vec<_> = names.iter().map(|name| id(name.trim())).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
