//! Access control lists of buckets and objects: read and replace (S3 API Reference, GetBucketAcl, PutBucketAcl, GetObjectAcl,
//! PutObjectAcl).

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::{Acl, ConfigChange, Grantee, ObjectOwnership};
use myfsio_actors::names::CanonicalId;
use myfsio_actors::storage::{Bucket, BucketChange, Object, ObjectChange, Purpose, Versioning};

use crate::s3::authorize;

use crate::s3::acl::{AskedAcl, Subject};
use crate::s3::context::Call;
use crate::s3::controls::{kept, ownership_of, refuse_acl, refuse_public};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::{Answer, empty, set_header, xml};
use crate::s3::xml::access::{ACCESS_BYTES_MAX, WrittenAcl, access_control_policy, write_access_control_policy};

/// GetBucketAcl.
pub fn get_bucket_acl(call: &Call) -> Answer {
    let bucket = call.bucket()?;
    Ok(answer(call, &bucket, &bucket.owner, bucket.config.acl.as_ref()))
}

/// PutBucketAcl. Errs: those of the list that is asked for.
pub async fn put_bucket_acl(mut call: Call) -> Answer {
    let bucket = call.bucket()?;
    let asked = asked_acl(&mut call).await?;
    asked.check_owner(&bucket.owner)?;
    if let Some(acl) = allowed_acl(&call, asked.acl, &bucket, Subject::Bucket { owner: &bucket.owner })? {
        let change = BucketChange::Config(ConfigChange::Acl(kept(acl, &bucket.owner)));
        call.configure(change).await?;
    }
    Ok(empty(StatusCode::OK))
}

/// GetObjectAcl. Errs: NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker.
pub async fn get_object_acl(call: Call) -> Answer {
    let bucket = call.bucket()?;
    let object = object(&call, &bucket).await?;
    let mut response = answer(&call, &bucket, bucket.owner_of(&object.owner), object.controls.acl.as_ref());
    tell_version(&mut response, &bucket, &object);
    Ok(response)
}

/// PutObjectAcl. Errs: those of the list that is asked for, NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker.
pub async fn put_object_acl(mut call: Call) -> Answer {
    let bucket = call.bucket()?;
    let permitted = object(&call, &bucket).await?;
    let asked = asked_acl(&mut call).await?;
    let ask = |object: &_| authorize::ask_again(&call, &bucket, object);
    let change = |object: &Arc<Object>| {
        let owner = bucket.owner_of(&object.owner);
        asked.check_owner(owner)?;
        let subject = Subject::Object { owner, bucket_owner: &bucket.owner };
        let acl = allowed_acl(&call, asked.acl.clone(), &bucket, subject)?;
        Ok(acl.map(|acl| ObjectChange::Acl(kept(acl, owner))))
    };
    let object = authorize::change(&call, &bucket, Some(permitted), ask, change).await?;
    let mut response = empty(StatusCode::OK);
    tell_version(&mut response, &bucket, &object);
    Ok(response)
}

async fn object(call: &Call, bucket: &Arc<Bucket>) -> Result<Arc<Object>, S3Error> {
    Ok(authorize::open(call, bucket, Purpose::Look).await?.object)
}

fn tell_version(response: &mut HttpResponse, bucket: &Bucket, object: &Object) {
    if bucket.versioning != Versioning::Off {
        set_header(response, "x-amz-version-id", &object.version_id.to_string());
    }
}

/// A list that is asked for.
struct Asked {
    acl: AskedAcl,
    /// Whom the document names as the owner.
    owner: Option<String>,
}

impl Asked {
    /// Errs: AccessDenied when the document names another owner.
    fn check_owner(&self, owner: &CanonicalId) -> Result<(), S3Error> {
        if self.owner.as_ref().is_none_or(|named| named == owner.as_str()) {
            return Ok(());
        }
        let error = S3Error::new(ErrorCode::AccessDenied).because("the document names another owner");
        Err(error.by_rule("another_owner"))
    }
}

/// The list that headers or document ask for. Errs: MissingSecurityHeader for neither, UnexpectedContent for both,
/// InvalidRequest for both kinds of headers, MalformedACLError.
async fn asked_acl(call: &mut Call) -> Result<Asked, S3Error> {
    let asked = AskedAcl::of(&call.headers)?;
    let document = call.body.collect(ACCESS_BYTES_MAX).await?;
    match asked {
        AskedAcl::Default if document.is_empty() => {
            Err(S3Error::new(ErrorCode::MissingSecurityHeader).field("MissingHeaderName", "x-amz-acl"))
        }
        AskedAcl::Default => {
            let policy = access_control_policy(&document)
                .map_err(|error| S3Error::new(ErrorCode::MalformedACLError).because(error))?;
            Ok(Asked { acl: AskedAcl::Grants(policy.grants), owner: Some(policy.owner) })
        }
        acl if document.is_empty() => Ok(Asked { acl, owner: None }),
        _ => Err(ErrorCode::UnexpectedContent.into()),
    }
}

/// The list to keep; none where lists do not count and the one that is asked for says no more than holds. Errs: those of
/// resolving it, AccessControlListNotSupported, AccessDenied for a public one in a bucket that blocks them.
fn allowed_acl(call: &Call, asked: AskedAcl, bucket: &Bucket, subject: Subject<'_>) -> Result<Option<Acl>, S3Error> {
    if ownership_of(bucket) == ObjectOwnership::BucketOwnerEnforced {
        refuse_acl(&call.node, asked, bucket)?;
        return Ok(None);
    }
    let acl = asked.resolve(subject, &call.node.access.iam.directory())?;
    refuse_public(bucket, &acl)?;
    Ok(Some(acl))
}

fn answer(call: &Call, bucket: &Bucket, owner: &CanonicalId, acl: Option<&Acl>) -> HttpResponse {
    let of_owner = Acl::of_owner(owner);
    let acl = match acl {
        Some(acl) if ownership_of(bucket) != ObjectOwnership::BucketOwnerEnforced => acl,
        _ => &of_owner,
    };
    let name = |grantee: &Grantee| match grantee {
        Grantee::User(id) => call.owner_name(id),
        Grantee::AllUsers | Grantee::AuthenticatedUsers | Grantee::LogDelivery => String::new(),
    };
    let grants = acl.grants.iter().map(|grant| (&grant.grantee, name(&grant.grantee), grant.permission)).collect();
    let document =
        write_access_control_policy(&WrittenAcl { owner: (owner.as_str(), &call.owner_name(owner)), grants });
    xml(StatusCode::OK, document)
}
