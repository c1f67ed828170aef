//! What a page shows, as commands of the usual programs. Credentials are left to the environment; names are quoted for a shell.

/// A command.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program.
    pub program: &'static str,
    /// Names it on the page.
    pub id: String,
    /// The command.
    pub text: String,
}

/// Commands that list and copy what is below a prefix.
pub fn of_prefix(endpoint: &str, region: &str, bucket: &str, prefix: &str) -> Vec<Command> {
    let place = quoted(&format!("s3://{bucket}/{prefix}"));
    let remote = quoted(&format!(":s3,provider=Other,env_auth,endpoint='{endpoint}':{bucket}/{prefix}"));
    let python = format!(
        "import boto3\ns3 = boto3.client(\"s3\", endpoint_url={}, region_name={})\n\
         for page in s3.get_paginator(\"list_objects_v2\").paginate(Bucket={}, Prefix={}):\n    \
         for entry in page.get(\"Contents\", []):\n        print(entry[\"Key\"], entry[\"Size\"])",
        literal(endpoint),
        literal(region),
        literal(bucket),
        literal(prefix),
    );
    let list = format!("{endpoint}/{bucket}?list-type=2&prefix={}", super::links::encode(prefix));
    commands([
        ("aws", format!("aws --endpoint-url {endpoint} s3 ls --recursive {place}")),
        ("mc", format!("mc ls --recursive {}", quoted(&format!("myfsio/{bucket}/{prefix}")))),
        ("rclone", format!("rclone ls {remote}")),
        ("boto3", python),
        ("curl", curl(region, "", &list)),
    ])
}

/// Commands that get an object.
pub fn of_object(endpoint: &str, region: &str, bucket: &str, key: &str, version: &str) -> Vec<Command> {
    let file = quoted(key.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("object"));
    let remote = quoted(&format!(":s3,provider=Other,env_auth,endpoint='{endpoint}':{bucket}/{key}"));
    let (mut url, mut aws, mut python, mut mc) =
        (url_of(endpoint, bucket, key), String::new(), String::new(), String::new());
    if !version.is_empty() {
        url.push_str(&format!("?versionId={version}"));
        aws = format!(" --version-id {version}");
        mc = format!(" --version-id {version}");
        python = format!(", ExtraArgs={{\"VersionId\": {}}}", literal(version));
    }
    let python = format!(
        "import boto3\ns3 = boto3.client(\"s3\", endpoint_url={}, region_name={})\ns3.download_file({}, {}, {}{python})",
        literal(endpoint),
        literal(region),
        literal(bucket),
        literal(key),
        literal(key.rsplit('/').next().unwrap_or("object")),
    );
    let get =
        format!("aws --endpoint-url {endpoint} s3api get-object --bucket {bucket} --key {}{aws} {file}", quoted(key));
    commands([
        ("aws", get),
        ("mc", format!("mc cp{mc} {} {file}", quoted(&format!("myfsio/{bucket}/{key}")))),
        ("rclone", format!("rclone copyto {remote} {file}")),
        ("boto3", python),
        ("curl", curl(region, &format!("--output {file} "), &url)),
    ])
}

/// The URL of an object, without a signature.
pub fn url_of(endpoint: &str, bucket: &str, key: &str) -> String {
    let path = key.split('/').map(super::links::encode).collect::<Vec<_>>().join("/");
    format!("{endpoint}/{bucket}/{path}")
}

/// What other programs read of the environment. The secret is left to be filled in.
pub fn credentials(endpoint: &str, region: &str, access_key: &str) -> String {
    format!(
        "export AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY=…\nexport AWS_REGION={}\nexport AWS_ENDPOINT_URL_S3={}",
        quoted(access_key),
        quoted(region),
        quoted(endpoint)
    )
}

/// Commands that list the buckets of the node.
pub fn of_node(endpoint: &str, region: &str) -> Vec<Command> {
    let (_, authority) = endpoint.split_once("://").unwrap_or(("", endpoint));
    let plain = if endpoint.starts_with("https:") { "" } else { " --no-ssl" };
    let python = format!(
        "import boto3\ns3 = boto3.client(\"s3\", endpoint_url={}, region_name={})\n\
         for bucket in s3.list_buckets()[\"Buckets\"]:\n    print(bucket[\"Name\"])",
        literal(endpoint),
        literal(region),
    );
    let (key, secret) = ("\"$AWS_ACCESS_KEY_ID\"", "\"$AWS_SECRET_ACCESS_KEY\"");
    let remote = quoted(&format!(":s3,provider=Other,env_auth,endpoint='{endpoint}':"));
    let s3cmd = format!("--host={} --host-bucket={}", quoted(authority), quoted(authority));
    commands([
        ("aws", format!("aws --endpoint-url {} s3 ls", quoted(endpoint))),
        ("boto3", python),
        ("mc", format!("mc alias set myfsio {} {key} {secret}\nmc ls myfsio", quoted(endpoint))),
        ("rclone", format!("rclone lsd {remote}")),
        ("s3cmd", format!("s3cmd --access_key={key} --secret_key={secret} {s3cmd}{plain} ls")),
        ("curl", curl(region, "", endpoint)),
    ])
}

/// A request signed by curl.
pub fn curl(region: &str, options: &str, url: &str) -> String {
    format!(
        "curl --fail --aws-sigv4 aws:amz:{region}:s3 --user \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\" {options}{}",
        quoted(url)
    )
}

/// Commands of programs, each named by its program.
pub fn commands(texts: impl IntoIterator<Item = (&'static str, String)>) -> Vec<Command> {
    let command = |(program, text)| Command { program, id: format!("command-{program}"), text };
    texts.into_iter().map(command).collect()
}

/// A word as a shell reads it (POSIX, "Single-Quotes").
pub fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/:._-@%+=".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// A text as Python reads it: JSON's strings are Python's.
pub fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_one_word() {
        for (word, text) in [
            ("a/b.txt", "a/b.txt"),
            ("a b", "'a b'"),
            ("$(rm -rf ~)`'", "'$(rm -rf ~)`'\\'''"),
            ("", "''"),
            ("a\nb;c", "'a\nb;c'"),
        ] {
            assert_eq!(quoted(word), text);
        }
        assert_eq!(literal("a\"b\\"), "\"a\\\"b\\\\\"");
    }
}
