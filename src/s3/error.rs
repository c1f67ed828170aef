//! The one table of S3 errors, and the error that the S3 layer passes around.
//!
//! Code, status and standing message come from the table only (S3 API Reference, "Error responses"). The client sees these,
//! a request id and the context fields; what went wrong inside goes to the log.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};

use crate::decisions::{Refused, Why};

macro_rules! error_table {
    ($($code:ident $(as $name:literal)?, $status:literal, $message:literal;)+) => {
        /// An S3 error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $message] $code,)+
        }

        impl ErrorCode {
            /// Every code of the table.
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// The code as S3 spells it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$code => spelled(&[$($name,)? stringify!($code)]),)+ }
            }

            /// The HTTP status.
            pub fn status(self) -> StatusCode {
                let status: u16 = match self { $(Self::$code => $status,)+ };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// The standing message.
            pub fn message(self) -> &'static str {
                match self { $(Self::$code => $message,)+ }
            }
        }
    };
}

/// The first of a code's names: S3's own where it is none that Rust could have.
const fn spelled(names: &[&'static str]) -> &'static str {
    match names {
        [name, ..] => name,
        [] => "",
    }
}

error_table! {
    AccessControlListNotSupported, 400, "The bucket does not allow ACLs";
    AccessDenied, 403, "Access Denied";
    AccessForbidden, 403, "CORSResponse: CORS is not enabled for this bucket.";
    AlreadyExistsException, 400, "The request was rejected because it attempted to create a resource that already exists.";
    AmbiguousGrantByEmailAddress, 400, "The email address you provided is associated with more than one account.";
    AuthorizationHeaderMalformed, 400, "The authorization header is malformed.";
    AuthorizationQueryParametersError, 400, "The authorization query parameters are malformed.";
    BadDigest, 400, "The Content-MD5 or checksum value that you specified did not match what the server received.";
    BadRequest, 400, "The request is malformed.";
    BucketAlreadyExists, 409, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.";
    BucketAlreadyOwnedByYou, 409, "Your previous request to create the named bucket succeeded and you already own it.";
    BucketNotEmpty, 409, "The bucket you tried to delete is not empty";
    ConditionalRequestConflict, 409, "The conditional request cannot succeed due to a conflicting operation against this resource.";
    CredentialsNotSupported, 400, "This request does not support credentials.";
    DeleteConflict, 409, "Something still hangs on the entity.";
    DisabledException, 400, "The request was rejected because the specified KMS key is not enabled.";
    DryRunOperationException, 400, "The request would have succeeded, but the DryRun option is set.";
    EntityAlreadyExists, 409, "There is such an entity already.";
    EntityTooLarge, 400, "Your proposed upload exceeds the maximum allowed size";
    EntityTooSmall, 400, "Your proposed upload is smaller than the minimum allowed size";
    ExpiredToken, 400, "The provided token has expired.";
    IllegalLocationConstraintException, 400, "The specified location constraint is not valid for this endpoint.";
    IllegalVersioningConfigurationException, 400, "The versioning configuration specified in the request is not valid.";
    IncompleteBody, 400, "You did not provide the number of bytes specified by the Content-Length HTTP header";
    IncorrectKeyException, 400, "The key ID in the request does not identify a CMK that can perform this operation.";
    InsufficientStorage, 507, "There is not enough space on the server's storage to complete the request.";
    InternalError, 500, "We encountered an internal error. Please try again.";
    InvalidAccessKeyId, 403, "The AWS Access Key Id you provided does not exist in our records.";
    InvalidAliasNameException, 400, "The request was rejected because the specified alias name is not valid.";
    InvalidArgument, 400, "Invalid Argument";
    InvalidArnException, 400, "The request was rejected because a specified ARN, or an ARN in a key policy, is not valid.";
    InvalidBucketAclWithObjectOwnership, 400, "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
    InvalidBucketName, 400, "The specified bucket is not valid.";
    InvalidBucketState, 409, "The request is not valid for the current state of the bucket.";
    InvalidCiphertextException, 400, "The request was rejected because the specified ciphertext, or additional authenticated data incorporated into the ciphertext, such as the encryption context, is corrupted, missing, or otherwise invalid.";
    InvalidDigest, 400, "The Content-MD5 or checksum value that you specified is not valid.";
    InvalidEncryptionAlgorithmError, 400, "The Encryption request you specified is not valid. Supported value: AES256.";
    InvalidGrantTokenException, 400, "The request was rejected because the specified grant token is not valid.";
    InvalidKeyUsageException, 400, "The request was rejected because the KeyUsage of the key or the encryption algorithm is incompatible with the operation.";
    InvalidLocationConstraint, 400, "The specified location constraint is not valid.";
    InvalidMarkerException, 400, "The request was rejected because the marker that specifies where pagination should next begin is not valid.";
    InvalidObjectState, 403, "The operation is not valid for the current state of the object.";
    InvalidPart, 400, "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
    InvalidPartOrder, 400, "The list of parts was not in ascending order. Parts must be ordered by part number.";
    InvalidPolicyDocument, 400, "The content of the form does not meet the conditions specified in the policy document.";
    InvalidRange, 416, "The requested range is not satisfiable";
    InvalidRequest, 400, "Invalid Request";
    InvalidRetentionPeriod, 400, "The retention period specified in the request is not valid.";
    InvalidSecurity, 403, "The provided security credentials are not valid.";
    InvalidStorageClass, 400, "The storage class you specified is not valid.";
    InvalidTag, 400, "The tag provided was not a valid tag.";
    InvalidTargetBucketForLogging, 400, "The target bucket for logging does not exist, is not owned by you, or does not have the appropriate grants for the log-delivery group.";
    InvalidToken, 400, "The provided token is malformed or otherwise invalid.";
    InvalidURI, 400, "Couldn't parse the specified URI.";
    KMSDisabledException as "KMS.DisabledException", 400, "The request was rejected because the specified KMS key is not enabled.";
    KMSKMSInvalidStateException as "KMS.KMSInvalidStateException", 400, "The request was rejected because the state of the specified resource is not valid for this request.";
    KMSNotFoundException as "KMS.NotFoundException", 400, "The request was rejected because the specified entity or resource could not be found.";
    KMSInvalidStateException, 400, "The request was rejected because the state of the specified resource is not valid for this request.";
    KMSNotEnabled, 400, "Key management is not enabled on this server (KMS_ENABLED).";
    KeyTooLongError, 400, "Your key is too long";
    KeyUnavailableException, 500, "The request was rejected because the specified KMS key was not available. You can retry the request.";
    LimitExceeded, 409, "There would be too many.";
    LimitExceededException, 400, "The request was rejected because a length constraint or quota was exceeded.";
    MalformedACLError, 400, "The XML you provided was not well-formed or did not validate against our published schema";
    MalformedPOSTRequest, 400, "The body of your POST request is not well-formed multipart/form-data.";
    MalformedPolicy, 400, "This policy contains invalid Json.";
    MalformedPolicyDocument, 400, "The policy document is malformed.";
    MalformedPolicyDocumentException, 400, "The request was rejected because the specified policy is not syntactically or semantically correct.";
    MalformedTrailerError, 400, "The request contained trailing data that was not well-formed or did not conform to our published schema.";
    MalformedXML, 400, "The XML you provided was not well-formed or did not validate against our published schema";
    MaxMessageLengthExceeded, 400, "Your request was too large.";
    MaxPostPreDataLengthExceededError, 400, "Your POST request fields preceding the upload file were too large.";
    MetadataTooLarge, 400, "Your metadata headers exceed the maximum allowed metadata size";
    MethodNotAllowed, 405, "The specified method is not allowed against this resource.";
    MissingContentLength, 411, "You must provide the Content-Length HTTP header.";
    MissingRequestBodyError, 400, "Request Body is empty.";
    MissingSecurityHeader, 400, "Your request was missing a required header.";
    NoSuchBucket, 404, "The specified bucket does not exist";
    NoSuchBucketPolicy, 404, "The bucket policy does not exist";
    NoSuchCORSConfiguration, 404, "The CORS configuration does not exist";
    NoSuchDecision, 404, "There is no refusal of this request id that you may see.";
    NoSuchEntity, 404, "There is no such entity.";
    NoSuchJob, 404, "There is no job of this id that you may see.";
    NoSuchKey, 404, "The specified key does not exist.";
    NoSuchLifecycleConfiguration, 404, "The lifecycle configuration does not exist";
    NoSuchObjectLockConfiguration, 404, "The specified object does not have a ObjectLock configuration";
    NoSuchPublicAccessBlockConfiguration, 404, "The public access block configuration was not found";
    NoSuchTagSet, 404, "The TagSet does not exist";
    NoSuchUpload, 404, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    NoSuchVersion, 404, "The specified version does not exist.";
    NoSuchWebsiteConfiguration, 404, "The specified bucket does not have a website configuration";
    NotAuthorizedException, 400, "The request was rejected because it is not authorized.";
    NotFoundException, 400, "The request was rejected because the specified entity or resource could not be found.";
    NotImplemented, 501, "A header or query you provided implies functionality that is not implemented.";
    ObjectLockConfigurationNotFoundError, 404, "Object Lock configuration does not exist for this bucket";
    OperationAborted, 409, "A conflicting conditional operation is currently in progress against this resource. Try again.";
    OwnershipControlsNotFoundError, 404, "The bucket ownership controls were not found";
    PreconditionFailed, 412, "At least one of the pre-conditions you specified did not hold";
    QuotaExceeded, 400, "A quota has no room for it.";
    ReplicationConfigurationNotFoundError, 404, "The replication configuration was not found";
    RequestHeaderSectionTooLarge, 400, "Your request header section exceeds the maximum allowed size.";
    RequestTimeTooSkewed, 403, "The difference between the request time and the current time is too large.";
    RequestTimeout, 400, "Your socket connection to the server was not read from or written to within the timeout period.";
    SerializationException, 400, "The request is not what its operation takes.";
    ServerSideEncryptionConfigurationNotFoundError, 404, "The server side encryption configuration was not found";
    ServiceUnavailable, 503, "Service is unable to handle request.";
    SignatureDoesNotMatch, 403, "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    SlowDown, 503, "Please reduce your request rate.";
    TagException, 400, "The request was rejected because one or more tags are not valid.";
    TooManyLoginAttempts, 403, "Too many wrong secret keys for this access key from your address. Try again later.";
    UnexpectedContent, 400, "This request contains unsupported content.";
    UnknownOperationException, 400, "There is no such operation.";
    UnmodifiableEntity, 400, "The entity cannot be changed by a request.";
    UnresolvableGrantByEmailAddress, 400, "The email address you provided does not match any account on record.";
    UnsupportedOperationException, 400, "The request was rejected because a specified parameter is not supported or a specified resource is not valid for this operation.";
    UserKeyMustBeSpecified, 400, "The bucket POST must contain the specified field name. If it is specified, check the order of the fields.";
    ValidationException, 400, "The request fails to satisfy the constraints of the operation.";
    XAmzContentSHA256Mismatch, 400, "The provided 'x-amz-content-sha256' header does not match what was computed.";
}

/// An error answer in the making: a row of the table, a message if the standing one says too little, fields of the
/// `<Error>` element, headers, and the cause for the log.
#[derive(Debug)]
pub struct S3Error {
    code: ErrorCode,
    message: Option<Cow<'static, str>>,
    fields: Vec<(&'static str, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
    why: Option<Box<Why>>,
}

impl S3Error {
    /// An error with the table's message.
    pub fn new(code: ErrorCode) -> Self {
        Self { code, message: None, fields: Vec::new(), headers: Vec::new(), cause: None, why: None }
    }

    /// An error with a message of its own, which the client sees.
    pub fn with_message(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: Some(message.into()), ..Self::new(code) }
    }

    /// An internal error; `cause` goes to the log only.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..Self::new(ErrorCode::InternalError) }
    }

    /// `InvalidArgument` with its two context fields.
    pub fn invalid_argument(name: &str, value: &str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::with_message(ErrorCode::InvalidArgument, message)
            .field("ArgumentName", name)
            .field("ArgumentValue", value)
    }

    /// Adds a field to the `<Error>` element, behind Code and Message.
    pub fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Adds a response header; one whose value is no legal header value is left out.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// Sets what the log says beside the code.
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Says why the request is refused, for those who may ask about it later.
    pub fn explained(mut self, why: Why) -> Self {
        self.why = Some(Box::new(why));
        self
    }

    /// Names the rule beside policies that refuses the request.
    pub fn by_rule(self, word: &'static str) -> Self {
        self.explained(Why::Rule(word))
    }

    /// Marks a refusal of credentials; what else keeps them from being looked at is none.
    pub fn of_credentials(self) -> Self {
        if self.code.status().is_server_error() {
            return self;
        }
        let field = |wanted: &str| self.fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
        let why = Why::Credentials { access_key: field("AWSAccessKeyId"), hint: field("Hint") };
        self.explained(why)
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The message that the client sees.
    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_else(|| self.code.message())
    }

    /// Fields of the `<Error>` element.
    pub fn fields(&self) -> &[(&'static str, String)] {
        &self.fields
    }

    /// Response headers.
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// What the log says.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Why the request is refused.
    pub fn why(&self) -> Option<&Why> {
        self.why.as_deref()
    }

    /// The same, for an error of another API.
    pub fn into_why(self) -> Option<Box<Why>> {
        self.why
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message())?;
        match &self.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for S3Error {}

impl<'a> From<&'a S3Error> for Refused<'a> {
    fn from(error: &'a S3Error) -> Self {
        Self {
            code: error.code.name(),
            status: error.code.status().as_u16(),
            message: error.message(),
            is_bare: error.message.is_none(),
            cause: error.cause(),
            why: error.why(),
        }
    }
}

impl From<ErrorCode> for S3Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        for (i, code) in ErrorCode::ALL.iter().enumerate() {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{}", code.name());
            assert!(!code.message().is_empty());
            if let Some(next) = ErrorCode::ALL.get(i + 1) {
                assert!(code.name() < next.name(), "{} and {} are out of order", code.name(), next.name());
            }
        }
    }
}
