//! A bucket's website configuration: read, put, delete. What is served from it stands in [`website`](crate::s3::website).

use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::ConfigChange;

use super::bucket_config::{configure, document, told};
use crate::s3::context::Call;
use crate::s3::error::ErrorCode;
use crate::s3::respond::{Answer, empty};
use crate::s3::xml::website::{WEBSITE_BYTES_MAX, website_configuration, write_website};

/// S3 API Reference, GetBucketWebsite. Errs: NoSuchWebsiteConfiguration.
pub fn get_bucket_website(call: &Call) -> Answer {
    told(call, call.bucket()?.config.website.as_ref(), write_website, ErrorCode::NoSuchWebsiteConfiguration)
}

/// S3 API Reference, PutBucketWebsite. Errs: MalformedXML, InvalidArgument, InvalidRequest.
pub async fn put_bucket_website(mut call: Call) -> Answer {
    let website = website_configuration(&document(&mut call, WEBSITE_BYTES_MAX).await?)?;
    configure(&call, ConfigChange::Website(Some(website))).await?;
    Ok(empty(StatusCode::OK))
}

/// S3 API Reference, DeleteBucketWebsite.
pub async fn delete_bucket_website(call: Call) -> Answer {
    configure(&call, ConfigChange::Website(None)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
