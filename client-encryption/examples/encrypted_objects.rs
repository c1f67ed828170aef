//! Uploads files encrypted and downloads them decrypted, with the AWS SDK.
//!
//! ```sh
//! myfsio client-encryption generate-key --output photos.key
//! export AWS_ENDPOINT_URL=http://127.0.0.1:5000 AWS_ACCESS_KEY_ID=localadmin AWS_SECRET_ACCESS_KEY=localadmin
//! cargo run -p myfsio-client-encryption --example encrypted_objects -- put photos.key photos 2024/a.jpg a.jpg
//! cargo run -p myfsio-client-encryption --example encrypted_objects -- get photos.key photos 2024/a.jpg copy.jpg
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::{env, fs};

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::primitives::ByteStream;
use myfsio_client_encryption::{Metadata, decrypt_from_download, encrypt_for_upload, key_from_base64};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [action, key_file, bucket, name, file] = arguments.as_slice() else {
        return Err("usage: put|get KEY_FILE BUCKET KEY FILE".into());
    };
    let key = key_from_base64(&fs::read_to_string(key_file)?)?;
    let s3 = client()?;
    match action.as_str() {
        "put" => {
            let (ciphertext, metadata) = encrypt_for_upload(&fs::read(file)?, &key)?;
            let mut request = s3.put_object().bucket(bucket).key(name).body(ByteStream::from(ciphertext));
            for (name, value) in metadata.pairs() {
                request = request.metadata(name, value);
            }
            request.send().await?;
        }
        "get" => {
            let object = s3.get_object().bucket(bucket).key(name).send().await?;
            let metadata = Metadata::from_pairs(object.metadata().into_iter().flatten())?;
            let ciphertext = object.body.collect().await?.into_bytes();
            fs::write(file, decrypt_from_download(&ciphertext, &metadata, &key)?)?;
        }
        _ => return Err("the action is put or get".into()),
    }
    Ok(())
}

/// A client for the endpoint and the credentials of the environment.
fn client() -> Result<Client, env::VarError> {
    let (access, secret) = (env::var("AWS_ACCESS_KEY_ID")?, env::var("AWS_SECRET_ACCESS_KEY")?);
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(env::var("AWS_ENDPOINT_URL")?)
        .credentials_provider(Credentials::from_keys(access, secret, None))
        .force_path_style(true)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Ok(Client::from_conf(config))
}
